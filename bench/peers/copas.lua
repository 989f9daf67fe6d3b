-- SPDX-License-Identifier: MIT
--
-- The benchmark's servers on copas, under lua5.4: a coroutine for each connection, over LuaSocket.
-- Usage: lua5.4 copas.lua echo|lines|get|udp [PORT]

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
  copas.addserver(server, function(conn)
    conn:setoption("tcp-nodelay", true)
    conn = copas.wrap(conn)
    while true do
      if mode == "echo" then
        local data, err, partial = conn:receivepartial(65536)
        data = data or partial
        if not data or data == "" or err == "closed" then return end
        conn:send(data)
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
