-- SPDX-License-Identifier: MIT
--
-- The echo server that the benchmark compares with bench/echo_uv.c: what a user would write, with
-- nothing tuned for the measurement. It answers with whatever bytes have arrived, so the same
-- script serves every echo case, whatever the size and depth of its messages.
--
-- Usage: lariat bench/echo.lua [PORT]. The port is the first line of stdout, as bench/run.sh
-- expects of every server. It runs until a signal ends it.

local heap = require "heap"
local socket = require "socket"

local touch = heap.touch

local server = assert(socket.bind("127.0.0.1", tonumber(arg[1]) or 0, 1024))
local _, port = server:getsockname()
print(port)
io.stdout:flush()

server:serve(function(conn)
  local bytes = conn:receiveany()
  while bytes and conn:send(bytes) do
    if touch then touch(bytes) end
    bytes = conn:receiveany()
  end
end)
