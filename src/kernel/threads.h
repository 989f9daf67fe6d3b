/* SPDX-License-Identifier: MIT
 *
 * libuv's thread pool, which runs name lookups. libuv would abort the program if it could not start
 * a thread; threads_start makes sure that it can.
 */
#ifndef LARIAT_THREADS_H
#define LARIAT_THREADS_H

#define THREADS_NONE (-9998) /* an error beside UV_EAI_*: no thread can be started */

/* Required before each use of the pool: starts it, unless this process has, with as many threads as
 * the system allows. Blocks for a few ms, once. 0, THREADS_NONE or UV_EAI_MEMORY; after an error it
 * may be called again. */
int threads_start(void);

#endif
