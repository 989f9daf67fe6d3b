/* SPDX-License-Identifier: MIT
 *
 * libuv's pool of threads, on which names are looked up.
 */
#ifndef LARIAT_THREADS_H
#define LARIAT_THREADS_H

#define THREADS_NONE (-9998) /* beside UV_EAI_*: no thread for a lookup can be started */

/* Before each use of the pool: starts it, if this process has not, with no more threads than the
 * system lets us have. 0, or THREADS_NONE; it may be tried again. */
int threads_start(void);

#endif
