-- SPDX-License-Identifier: MIT
--
-- Reliable transfer over UDP, which loses, repeats and reorders datagrams: a file goes from the
-- standard input of one program to the standard output of another.
--
--   lariat reliable_udp.lua receive HOST PORT [PROTOCOL] > FILE     (port 0: any free port)
--   lariat reliable_udp.lua send HOST PORT [PROTOCOL] < FILE
--
-- PROTOCOL is "stop-and-wait", the simplest that works, or "sliding-window" (the default), which is
-- fast; each has a file in reliable_udp/, to be read in this order. They understand each other.
-- What is missing for the Internet at large is congestion control.
--
-- spec/examples/reliable_udp_spec.lua runs them on simulated networks that do their worst.

local lariat = require "lariat"
local socket = require "socket"
package.path = arg[0]:gsub("[^/]*$", "") .. "?.lua;" .. package.path -- modules beside this script

local PROTOCOLS = { ["stop-and-wait"] = "stop_and_wait", ["sliding-window"] = "sliding_window" }

local command, host, port = arg[1], arg[2], math.tointeger(arg[3])
local protocol = PROTOCOLS[arg[4] or "sliding-window"]
local least = command == "receive" and 0 or 1
if command ~= "send" and command ~= "receive" or not port or port < least or port > 65535
   or not protocol or arg[5] then
  io.stderr:write("usage: lariat reliable_udp.lua send|receive HOST PORT ",
    "[stop-and-wait|sliding-window]\n")
  os.exit(2)
end
protocol = require("reliable_udp." .. protocol)

local function check(value, message)
  if value then return value end
  io.stderr:write("reliable_udp: ", message, "\n")
  os.exit(1)
end

-- An LTN12 source: what has come of standard input, nil at its end.
local function input()
  local data, message = lariat.stdin:receiveany()
  return data, message ~= "closed" and message or nil
end

-- An LTN12 sink; the end is nil.
local function output(data)
  if not data then return io.stdout:flush() end
  return io.stdout:write(data)
end

local udp <close> = socket.udp()
if command == "send" then
  check(udp:setpeername(host, port))
  check(protocol.send(udp, input))
else
  check(udp:setsockname(host, port))
  io.stderr:write(("listening on %s %d\n"):format(udp:getsockname()))
  check(protocol.receive(udp, output))
end
