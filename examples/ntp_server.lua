-- SPDX-License-Identifier: MIT
--
-- An NTP server: tells this machine's time to whoever asks.
--
--   lariat ntp_server.lua [HOST [PORT]]           (default 127.0.0.1 1230; port 0: any free port)
--
-- Try it with chronyd -Q -t 3 'server 127.0.0.1 port 1230 iburst', which prints how far apart the
-- clocks are and sets none. The message is declared in wire/ntp.lua.

local socket = require "socket"
package.path = arg[0]:gsub("[^/]*$", "") .. "?.lua;" .. package.path -- modules beside this script
local ntp = require "wire.ntp"

local TO_1970 = 2208988800 -- seconds from 1900, where NTP begins to count

local host, port = arg[1] or "127.0.0.1", math.tointeger(arg[2] or 1230)
if arg[3] or not port or port < 0 or port > 65535 then
  io.stderr:write "usage: lariat ntp_server.lua [HOST [PORT]]\n"
  os.exit(2)
end

local function time(seconds)
  local whole = math.floor(seconds)
  return {
    seconds = whole + TO_1970 & 0xffffffff, -- begins anew in 2036; clients know
    fraction = math.floor((seconds - whole) * (1 << 32)),
  }
end

local udp = socket.udp()
local ok, message = udp:setsockname(host, port)
if not ok then
  io.stderr:write("ntp_server: ", message, "\n")
  os.exit(1)
end
print(("listening on %s %d"):format(udp:getsockname()))
io.flush()

local function ignore() end -- what is no NTP message is not answered

for request, peer_host, peer_port in ntp:datagrams(udp, ignore) do
  local now = socket.gettime()
  if request.mode == "client" and request.version >= 1 and request.version <= 4 then
    ntp:write(udp, {
      leap = "none", version = request.version, mode = "server",
      stratum = 10, poll = request.poll, precision = -20, -- a clock that nobody sets: 10
      root_delay = 0, root_dispersion = 0, reference_id = "LOCL",
      reference = time(now), origin = request.transmit, -- by which a client knows its answer
      receive = time(now), transmit = time(socket.gettime()), extensions = "",
    }, peer_host, peer_port)
  end
end
