-- SPDX-License-Identifier: MIT
--
-- A TCP port forwarder: what connects here is passed on to another host and port, both ways.
--
--   lariat port_forwarder.lua LISTEN_HOST LISTEN_PORT TARGET_HOST TARGET_PORT
--
-- Each direction ends by itself: when one side stops sending, the other hears of it and may still
-- answer (half-close). A slow side slows the other down, bytes do not pile up here.

local socket = require "socket"

local CONNECT_TIMEOUT = 10 -- seconds for looking up and reaching the target
local LIMIT = 2000         -- connections at once, two descriptors each; more wait in the kernel

local function port_of(word, least)
  local port = math.tointeger(word)
  return port and port >= least and port <= 65535 and port
end

local host, port = arg[1], port_of(arg[2], 0)
local target_host, target_port = arg[3], port_of(arg[4], 1)
if not port or not target_port or arg[5] then
  io.stderr:write(
    "usage: lariat port_forwarder.lua LISTEN_HOST LISTEN_PORT TARGET_HOST TARGET_PORT\n")
  os.exit(2)
end

local function log(peer, ...)
  io.stderr:write(peer, " ", ...)
  io.stderr:write "\n"
end

-- A forwarded connection may rest for hours, so no timeout ends it; what has vanished without a
-- word (a cut cable) is found by the kernel's probes instead, after about five minutes.
local function keep_alive(conn)
  conn:setoption("keepalive", true)
  conn:setoption("tcp-keepidle", 240)
  conn:setoption("tcp-keepintvl", 15)
  conn:setoption("tcp-keepcnt", 4)
end

local function forward(conn)
  local peer = ("%s:%s"):format(conn:getpeername()) -- asked now: later it may have gone
  local target <close> = socket.tcp()
  target:settimeout(CONNECT_TIMEOUT)
  local ok, message = target:connect(target_host, target_port)
  if not ok then return log(peer, "target: ", message) end
  target:settimeout(nil)
  keep_alive(conn)
  keep_alive(target)
  -- Copies both ways, without making Lua strings, until both sides have ended or one has failed.
  local up, down = socket.relay(conn, target)
  if not up then return log(peer, "failed: ", down) end
  log(peer, ("%d bytes up, %d bytes down"):format(up, down))
end

local server, message = socket.bind(host, port, 128)
if not server then
  io.stderr:write("port_forwarder: ", message, "\n")
  os.exit(1)
end
print(("listening on %s %d"):format(server:getsockname()))
io.flush()

assert(server:serve(forward, { limit = LIMIT }))
