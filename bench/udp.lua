-- SPDX-License-Identifier: MIT
--
-- The UDP server that the benchmark compares with `server udp`: datagrams are sent back.
-- Written as a user would, with nothing tuned for the measurement.
--
-- Usage: lariat bench/udp.lua [PORT]. The port is the first line of stdout, as bench/run.sh
-- expects of every server. It runs until a signal ends it.

local socket = require "socket"

local server = assert(socket.udp4())
assert(server:setsockname("127.0.0.1", tonumber(arg[1]) or 0))
local _, port = server:getsockname()
print(port)
io.stdout:flush()

for data, host, from in server:datagrams() do
  server:sendto(data, host, from)
end
