-- SPDX-License-Identifier: MIT
--
-- Receives syslog messages and prints them, one a line: from where, facility.severity, the text.
--
--   lariat syslog_receiver.lua [HOST [PORT]]      (default 127.0.0.1 5140; port 0: any free port)
--
-- There are three framings: a datagram for each; over TCP a line, or a count of bytes in front. Try
--   logger -n 127.0.0.1 -P 5140 -d hello          logger -n 127.0.0.1 -P 5140 -T hello
--   logger -n 127.0.0.1 -P 5140 -T --octet-count hello
-- The messages are declared in wire/syslog.lua.

local socket = require "socket"
local task = require "lariat.task"
package.path = arg[0]:gsub("[^/]*$", "") .. "?.lua;" .. package.path -- modules beside this script
local syslog = require "wire.syslog"

local SENDERS = 1000
local FACILITIES = { [0] = "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news",
  "uucp", "cron", "authpriv", "ftp", "ntp", "audit", "alert", "clock", "local0", "local1", "local2",
  "local3", "local4", "local5", "local6", "local7" }
local SEVERITIES = { [0] = "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug" }

local host, port = arg[1] or "127.0.0.1", math.tointeger(arg[2] or 5140)
if arg[3] or not port or port < 0 or port > 65535 then
  io.stderr:write "usage: lariat syslog_receiver.lua [HOST [PORT]]\n"
  os.exit(2)
end

local function check(value, message)
  if value then return value end
  io.stderr:write("syslog_receiver: ", message, "\n")
  os.exit(1)
end

-- What comes from a network may be anything: nothing in it gets at the terminal.
local function printable(text)
  return (text:gsub("%c", function(c) return ("\\%03d"):format(c:byte()) end))
end

local function show(message, peer)
  local facility, severity = FACILITIES[message.priority >> 3], SEVERITIES[message.priority & 7]
  print(("%s %s.%s %s"):format(peer, facility or "unknown", severity,
    printable(message.text:gsub("[\r\n%z]+$", ""))))
  io.flush()
end

local function complain(message, peer)
  io.stderr:write(("syslog_receiver: %s: %s\n"):format(peer, printable(message)))
end

-- A count of bytes begins with a digit, a message with "<".
local function receive(conn)
  conn:setoption("keepalive", true)
  local peer = conn:getpeername()
  while true do
    local first = conn:peek(1)
    if not first then return end
    local framing = first:find "%d" and syslog.counted or syslog.line
    local message, why = framing:read(conn)
    if not message then return complain(why, peer) end
    show(message, peer)
  end
end

-- Both listen on the same port, so TCP picks it and UDP has to follow.
local server = check(socket.bind(host, port, 64))
port = select(2, server:getsockname())
local udp = socket.udp()
check(udp:setsockname(host, port))
print(("listening on %s %d"):format(udp:getsockname()))
io.flush()

task.spawn(server.serve, server, receive, { limit = SENDERS })
local function refused(why, _, peer) complain(why, peer) end
for message, peer in syslog.datagram:datagrams(udp, refused) do show(message, peer) end
