-- SPDX-License-Identifier: MIT
--
-- The forwarder that the benchmark compares with `server proxy`: what comes is passed on to another
-- server of this machine, and its answers back.
-- Written as a user would, with nothing tuned for the measurement.
--
-- Usage: lariat bench/proxy.lua [PORT BACKEND_PORT]. The port is the first line of stdout, as
-- bench/run.sh expects of every server. It runs until a signal ends it.

local socket = require "socket"

local server = assert(socket.bind("127.0.0.1", tonumber(arg[1]) or 0, 1024))
local _, port = server:getsockname()
print(port)
io.stdout:flush()

server:serve(function(conn)
  local backend <close> = assert(socket.connect("127.0.0.1", arg[2]))
  socket.relay(conn, backend)
end)
