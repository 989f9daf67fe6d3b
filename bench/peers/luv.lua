-- SPDX-License-Identifier: MIT
--
-- The benchmark's servers on lua-luv, under lua5.4: callbacks, and one write for each chunk, tried
-- at once so that it needs no request unless the kernel refuses a part.
-- Usage: lua5.4 luv.lua echo|lines|lines_concat|get|kv|udp [PORT]; see heap.lua

package.path = arg[0]:gsub("[^/]*$", "") .. "../?.lua;" .. package.path
local heap = require "heap"
local protocol = require "peers.protocol"
local uv = require "luv"

local mode, port = arg[1], tonumber(arg[2]) or 0

local idle = {}
for i = 1, heap.tasks do
  idle[i] = uv.new_timer()
  idle[i]:start(1000000000, 0, function() end)
end

local function write(conn, data)
  local sent = conn:try_write(data) or 0
  if sent < #data then conn:write(data:sub(sent + 1)) end
end

local server
if mode == "udp" then
  server = uv.new_udp()
  assert(server:bind("127.0.0.1", port))
  server:recv_start(function(_, data, from)
    if data then server:try_send(data, from.ip, from.port) end
  end)
else
  server = uv.new_tcp()
  assert(server:bind("127.0.0.1", port))
  assert(server:listen(1024, function()
    local conn, answers = uv.new_tcp(), protocol(mode, heap.touch)
    server:accept(conn)
    conn:nodelay(true)
    conn:read_start(function(err, data)
      if err or not data then
        conn:close()
      else
        write(conn, answers(data))
      end
    end)
  end))
end
print(server:getsockname().port)
io.stdout:flush()
uv.run()
