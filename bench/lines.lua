-- SPDX-License-Identifier: MIT
--
-- The lines server that the benchmark compares with `server lines`: each line is sent back.
-- Written as a user would, with nothing tuned for the measurement.
--
-- Usage: lariat bench/lines.lua [PORT]. The port is the first line of stdout, as bench/run.sh
-- expects of every server. It runs until a signal ends it.

local heap = require "heap"
local socket = require "socket"

local touch = heap.touch

local server = assert(socket.bind("127.0.0.1", tonumber(arg[1]) or 0, 1024))
local _, port = server:getsockname()
print(port)
io.stdout:flush()

server:serve(function(conn)
  for line in conn:lines "L" do
    conn:send(line)
    if touch then touch(line) end
  end
end)
