/* SPDX-License-Identifier: MIT
 *
 * Error numbers to messages. The words are LuaSocket 3.1's (its pierror.h and usocket.c), because
 * scripts compare them; what it has no word for is the C library's.
 */
#include "net/result.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <uv.h>

#include "kernel/threads.h"
#include "net/resolve.h"

const char *result_message(int err) {
    switch (err < 0 ? -err : err) {
    case EADDRINUSE: return "address already in use";
    case EISCONN: return "already connected";
    case EACCES: return "permission denied";
    case ECONNREFUSED: return "connection refused";
    case ECONNABORTED:
    case ECONNRESET:
    case EPIPE: return "closed";
    case ETIMEDOUT: return "timeout";
    default: return strerror(err < 0 ? -err : err);
    }
}

const char *result_watch_message(int err) {
    return err == -ENOSPC ? "No space left on device (for another watch: fs.epoll.max_user_watches)"
                          : result_message(err);
}

const char *result_lookup_message(int err) {
    switch (err) {
    case EAI_NONAME:
    case UV_EAI_NONAME:
    case UV_EINVAL: /* libuv's, for a text that cannot be a name */
    case UV_EAI_NODATA: return "host or service not provided, or not known";
    case EAI_AGAIN:
    case UV_EAI_AGAIN: return "temporary failure in name resolution";
    case EAI_FAIL:
    case UV_EAI_FAIL: return "non-recoverable failure in name resolution";
    case EAI_FAMILY:
    case UV_EAI_FAMILY: return "ai_family not supported";
    case EAI_ADDRFAMILY:
    case UV_EAI_ADDRFAMILY: return gai_strerror(EAI_ADDRFAMILY);
    case EAI_SERVICE:
    case UV_EAI_SERVICE: return "service not supported for socket type";
    case EAI_SOCKTYPE:
    case UV_EAI_SOCKTYPE: return "ai_socktype not supported";
    case EAI_BADFLAGS:
    case UV_EAI_BADFLAGS: return "invalid value for ai_flags";
    case EAI_MEMORY:
    case UV_EAI_MEMORY: return "memory allocation failure";
    case EAI_OVERFLOW:
    case UV_EAI_OVERFLOW: return "argument buffer overflow";
    case THREADS_NONE:
        return "no thread for a name lookup can be started: a limit on processes or memory "
               "(ulimit -u, ulimit -v, pids.max) leaves no room";
    case LOOKUP_NOT_SIMULATED: return "host not found: no host of this simulation has that name";
    default: return uv_strerror(err);
    }
}

int result_error(lua_State *L, const char *message) {
    lua_pushnil(L);
    lua_pushstring(L, message);
    return 2;
}

int result_fail(lua_State *L, int err) {
    return result_error(L, result_message(err));
}

int result_ok(lua_State *L, int err) {
    if (err < 0) {
        return result_fail(L, err);
    }
    lua_pushinteger(L, 1);
    return 1;
}
