-- SPDX-License-Identifier: MIT
--
-- What the benchmark compares with `server close`: connections are accepted and closed.
-- Written as a user would, with nothing tuned for the measurement.
--
-- Usage: lariat bench/close.lua [PORT]. The port is the first line of stdout, as bench/run.sh
-- expects of every server. It runs until a signal ends it.

local socket = require "socket"

local server = assert(socket.bind("127.0.0.1", tonumber(arg[1]) or 0, 1024))
local _, port = server:getsockname()
print(port)
io.stdout:flush()

server:serve(function() end)
