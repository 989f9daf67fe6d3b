-- SPDX-License-Identifier: MIT
--
-- A client for the TCP echo server: sends lines, prints what comes back.
--
--   lariat tcp_echo_client.lua HOST PORT [LINE...]     (without lines: those of standard input)
--
-- Exit status: 0 if every line came back as it was sent, 1 if not, 2 for a bad command line.

local socket = require "socket"
local lariat = require "lariat"

local TIMEOUT = 10 -- seconds without progress after which we give up

local host, port = arg[1], math.tointeger(arg[2])
if not host or not port or port < 1 or port > 65535 then
  io.stderr:write "usage: lariat tcp_echo_client.lua HOST PORT [LINE...]\n"
  os.exit(2)
end

local function check(value, message)
  if value then return value end
  io.stderr:write("tcp_echo_client: ", message, "\n")
  os.exit(1)
end

-- An iterator over the lines to send. Reading standard input this way suspends the task as reading
-- a socket does; io.lines would stop every task of the program.
local function lines()
  if not arg[3] then return lariat.stdin:lines() end
  local i = 2
  return function() i = i + 1 return arg[i] end
end

-- A socket is a `<close>` variable: however this block ends, the connection is closed.
local conn <close> = socket.tcp()
conn:settimeout(TIMEOUT)
check(conn:connect(host, port)) -- a name may have several addresses: the first to answer wins

for line in lines() do
  check(conn:send(line .. "\n"))
  local answer = check(conn:receive "*L") -- "*L" keeps the line's end, "*l" takes it off
  io.write(answer)
  check(answer == line .. "\n", "the answer differs from what was sent")
end

-- Half-close: "I am done, you may go on". The server answers with the end of its own stream.
check(conn:shutdown "send")
local more, message = conn:receiveany()
check(not more, "more came back than was sent")
check(message == "closed", message)
