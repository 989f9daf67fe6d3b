-- SPDX-License-Identifier: MIT
--
-- A server that speaks the Redis protocol, for redis-cli, redis-benchmark and client libraries:
-- PING ECHO GET SET DEL EXISTS MGET MSET INCR DECR INCRBY APPEND STRLEN EXPIRE TTL KEYS DBSIZE ...
--
--   lariat redis_server.lua [HOST [PORT]]         (default 127.0.0.1 6380; port 0: any free port)
--
-- Commands are read in redis/reader.lua and run in redis/commands.lua, replies are written in
-- redis/protocol.lua, the data is in redis/store.lua.

local socket = require "socket"
package.path = arg[0]:gsub("[^/]*$", "") .. "?.lua;" .. package.path -- modules beside this script
local new_reader = require "redis.reader"
local protocol = require "redis.protocol"
local run = require "redis.commands"

local LIMIT = 10000 -- clients at once

local host, port = arg[1] or "127.0.0.1", math.tointeger(arg[2] or 6380)
if arg[3] or not port or port < 0 or port > 65535 then
  io.stderr:write "usage: lariat redis_server.lua [HOST [PORT]]\n"
  os.exit(2)
end

-- Clients may send many commands before they read the first reply (pipelining). What has come is
-- taken in one piece, and commands are cut from it; the replies leave together, because `send` only
-- collects until all tasks wait.
local function handle(conn)
  conn:setoption("keepalive", true)
  local read_command = new_reader(function() return conn:receiveany() end)
  while true do
    local words, message = read_command()
    if not words then
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
