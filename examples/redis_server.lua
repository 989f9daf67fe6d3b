-- SPDX-License-Identifier: MIT
--
-- A server that speaks the Redis protocol, for redis-cli, redis-benchmark and client libraries:
-- PING ECHO GET SET DEL EXISTS MGET MSET INCR DECR INCRBY APPEND STRLEN EXPIRE TTL KEYS DBSIZE ...
--
--   lariat redis_server.lua [HOST [PORT]]         (default 127.0.0.1 6380; port 0: any free port)
--
-- The protocol is read and written in redis/protocol.lua, the commands are in redis/commands.lua,
-- the data in redis/store.lua.

local socket = require "socket"
package.path = arg[0]:gsub("[^/]*$", "") .. "?.lua;" .. package.path -- modules beside this script
local protocol = require "redis.protocol"
local run = require "redis.commands"

local LIMIT = 10000            -- clients at once
local LONGEST_LINE = 64 * 1024 -- bytes; for strings the protocol has limits of its own

local host, port = arg[1] or "127.0.0.1", math.tointeger(arg[2] or 6380)
if arg[3] or not port or port < 0 or port > 65535 then
  io.stderr:write "usage: lariat redis_server.lua [HOST [PORT]]\n"
  os.exit(2)
end

-- Clients may send many commands before they read the first reply (pipelining). There is nothing to
-- do for that: commands are cut from what has come without asking the kernel for each, and replies
-- are collected and leave together once the runtime has nothing left to run.
local function handle(conn)
  conn:setoption("maxreceive", LONGEST_LINE)
  conn:setoption("keepalive", true)
  while true do
    local words, message = protocol.read_command(conn)
    if not words then
      -- After a violation nobody knows where the next command begins: say so and hang up.
      if message then conn:send(protocol.error("Protocol error: " .. message)) end
      return
    end
    if words[1] then
      local reply, quit = run(words)
      if not conn:send(reply) or quit then return end
    end
  end
end

local server, message = socket.bind(host, port, 511)
if not server then
  io.stderr:write("redis_server: ", message, "\n")
  os.exit(1)
end
print(("listening on %s %d"):format(server:getsockname()))
io.flush()

assert(server:serve(handle, { limit = LIMIT, name = "client" }))
