-- SPDX-License-Identifier: MIT
--
-- A client for the UDP echo server: sends messages, prints what comes back. Datagrams get lost,
-- come late and come twice, so each message is numbered, sent again if no answer comes, and an
-- answer counts only if it is the one waited for.
--
--   lariat udp_echo_client.lua HOST PORT MESSAGE...
--
-- Exit status: 0 if every message came back, 1 if not, 2 for a bad command line.

local socket = require "socket"

local TRIES = 4
local FIRST_WAIT = 0.5 -- seconds; doubled with each try

local host, port = arg[1], math.tointeger(arg[2])
if not arg[3] or not port or port < 1 or port > 65535 then
  io.stderr:write "usage: lariat udp_echo_client.lua HOST PORT MESSAGE...\n"
  os.exit(2)
end

local function check(value, message)
  if value then return value end
  io.stderr:write("udp_echo_client: ", message, "\n")
  os.exit(1)
end

-- With a peer set, the kernel drops datagrams from anybody else, and tells us when nobody listens
-- there ("connection refused").
local udp <close> = socket.udp()
check(udp:setpeername(host, port))

-- Waits at most `seconds` for exactly this datagram: old answers are read and forgotten.
local function await(expected, seconds)
  local deadline = socket.gettime() + seconds
  while true do
    udp:settimeout(math.max(0, deadline - socket.gettime()))
    local data, message = udp:receive()
    if data == expected then return true end
    if not data then return nil, message end
  end
end

local function exchange(number, text)
  local datagram = ("%d %s"):format(number, text)
  local wait = FIRST_WAIT
  for _ = 1, TRIES do
    check(udp:send(datagram))
    local ok, message = await(datagram, wait)
    if ok then return true end
    if message ~= "timeout" then return nil, message end
    wait = wait * 2
  end
  return nil, "no answer"
end

for i = 3, #arg do
  check(exchange(i - 2, arg[i]))
  print(arg[i])
end
