-- SPDX-License-Identifier: MIT
--
-- Lines are sent back as most scripts do it: received without their end, which is put on again.
-- What the benchmark compares with `server lines`.
--
-- Usage: lariat bench/lines_concat.lua [PORT]. The port is the first line of stdout, as
-- bench/run.sh expects of every server. It runs until a signal ends it.

local heap = require "heap"
local socket = require "socket"

local touch = heap.touch

local server = assert(socket.bind("127.0.0.1", tonumber(arg[1]) or 0, 1024))
local _, port = server:getsockname()
print(port)
io.stdout:flush()

server:serve(function(conn)
  local line = conn:receive "*l"
  while line do
    conn:send(line .. "\n")
    if touch then touch(line) end
    line = conn:receive "*l"
  end
end)
