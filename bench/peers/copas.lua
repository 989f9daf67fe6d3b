-- SPDX-License-Identifier: MIT
--
-- The benchmark's servers on copas: a coroutine for each connection, over LuaSocket. Debian has it
-- for Lua 5.1. What has come is answered by one send.
-- Usage: lua5.1 copas.lua echo|lines|lines_concat|get|kv|udp [PORT]; see heap.lua

package.path = arg[0]:gsub("[^/]*$", "") .. "../?.lua;" .. package.path
local copas = require "copas"
local heap = require "heap"
local protocol = require "peers.protocol"
local socket = require "socket"

local mode, port = arg[1], tonumber(arg[2]) or 0
local touch = heap.touch

local idle = {} -- this copas has no sleep
for i = 1, heap.tasks do
  idle[i] = coroutine.create(function() coroutine.yield() end)
  coroutine.resume(idle[i])
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
    local conn, answers = copas.wrap(client), protocol(mode, touch)
    while true do
      local data, err, partial = copas.receivePartial(client, 65536)
      data = data or partial
      if data and data ~= "" then
        local reply = answers(data)
        if reply ~= "" then conn:send(reply) end
      end
      if err == "closed" then return end
    end
  end)
end
local _, bound = server:getsockname()
print(bound)
io.stdout:flush()
copas.loop()
