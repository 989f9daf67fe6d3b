/* SPDX-License-Identifier: MIT
 *
 * What a table given to send holds: strings, numbers and such tables, which are one message. A few
 * strings are sent from where they lie; all else is made one string first, which costs one copy, as
 * table.concat does.
 */
#include "net/gather.h"

#include <lauxlib.h>

size_t gather_pieces(lua_State *L, int index, struct iovec *pieces, size_t *size) {
    size_t count = lua_rawlen(L, index);
    *size = 0;
    for (size_t i = 0; i < count && count <= GATHER_MOST; i++) {
        bool is_string = lua_rawgeti(L, index, (lua_Integer)i + 1) == LUA_TSTRING;
        const char *data = is_string ? lua_tolstring(L, -1, &pieces[i].iov_len) : NULL;
        lua_pop(L, 1); /* the table keeps it */
        if (data == NULL) {
            return 0;
        }
        pieces[i].iov_base = (void *)(uintptr_t)data;
        *size += pieces[i].iov_len;
    }
    return count <= GATHER_MOST ? count : 0;
}

/* Appends a table's strings, numbers and tables, in order; guards against cycles by depth. */
static void add_table(lua_State *L, luaL_Buffer *b, int index, int depth) {
    luaL_argcheck(L, depth < 100, 2, "table is nested too deeply");
    lua_Integer n = (lua_Integer)lua_rawlen(L, index);
    luaL_checkstack(L, 4, "table is nested too deeply");
    for (lua_Integer i = 1; i <= n; i++) {
        int type = lua_rawgeti(L, index, i);
        if (type == LUA_TTABLE) {
            int nested = lua_gettop(L);
            luaL_Buffer inner;
            luaL_buffinit(L, &inner);
            add_table(L, &inner, nested, depth + 1);
            luaL_pushresult(&inner);
            lua_remove(L, nested);
        } else if (type != LUA_TSTRING && type != LUA_TNUMBER) {
            luaL_error(L, "bad argument #1 to 'send' (element %I: string expected, got %s)", i,
                       lua_typename(L, type));
        }
        luaL_addvalue(b);
    }
}

const char *gather_string(lua_State *L, int index, size_t *size) {
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    add_table(L, &b, index, 0);
    luaL_pushresult(&b);
    lua_replace(L, index);
    return lua_tolstring(L, index, size);
}
