-- SPDX-License-Identifier: MIT
--
-- The sink that the benchmark compares with `server sink`: what comes is dropped, and for every 64
-- KiB one byte is answered. Written as a user would, with nothing tuned for the measurement.
--
-- Usage: lariat bench/sink.lua [PORT]. The port is the first line of stdout, as bench/run.sh
-- expects of every server. It runs until a signal ends it.

local socket = require "socket"

local server = assert(socket.bind("127.0.0.1", tonumber(arg[1]) or 0, 1024))
local _, port = server:getsockname()
print(port)
io.stdout:flush()

local UNIT = 65536

server:serve(function(conn)
  local received = 0
  local bytes = conn:receiveany()
  while bytes do
    received = received + #bytes
    while received >= UNIT do
      received = received - UNIT
      conn:send "."
    end
    bytes = conn:receiveany()
  end
end)
