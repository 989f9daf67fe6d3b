-- SPDX-License-Identifier: MIT
--
-- The benchmark's servers on copas: a coroutine for each connection, over LuaSocket. Debian has it
-- for Lua 5.1.
-- Usage: lua5.1 copas.lua echo|lines|get|udp [PORT]

local copas = require "copas"
local socket = require "socket"
local mode, port = arg[1], tonumber(arg[2]) or 0

local store = {}
for i = 0, 999 do
  local key = ("key%04d"):format(i)
  store[key] = ("%-32s\n"):format(key)
end

local function answer(line)
  return store[line:match "^GET (.+)"] or "?\n"
end

local server
if mode == "udp" then
  server = assert(socket.udp())
  assert(server:setsockname("127.0.0.1", port))
  copas.addserver(server, function(conn)
    conn = copas.wrap(conn)
    while true do
      local data, host, from = conn:receivefrom(8192)
      if data then conn:sendto(data, host, from) end
    end
  end)
else
  server = assert(socket.bind("127.0.0.1", port, 1024))
  copas.addserver(server, function(client)
    client:setoption("tcp-nodelay", true)
    local conn = copas.wrap(client)
    while true do
      if mode == "echo" then
        local data, err, partial = copas.receivePartial(client, 65536)
        data = data or partial
        if data and data ~= "" then conn:send(data) end
        if err == "closed" then return end
      else
        local line = conn:receive "*l"
        if not line then return end
        conn:send(mode == "get" and answer(line) or line .. "\n")
      end
    end
  end)
end
local _, bound = server:getsockname()
print(bound)
io.stdout:flush()
copas.loop()
