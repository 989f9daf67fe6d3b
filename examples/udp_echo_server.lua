-- SPDX-License-Identifier: MIT
--
-- A UDP echo server: every datagram goes back to where it came from.
--
--   lariat udp_echo_server.lua [HOST [PORT]]      (default 127.0.0.1 7000; port 0: any free port)

local socket = require "socket"

local host, port = arg[1] or "127.0.0.1", math.tointeger(arg[2] or 7000)
if arg[3] or not port or port < 0 or port > 65535 then
  io.stderr:write "usage: lariat udp_echo_server.lua [HOST [PORT]]\n"
  os.exit(2)
end

local udp = socket.udp()
local ok, message = udp:setsockname(host, port)
if not ok then
  io.stderr:write("udp_echo_server: ", message, "\n")
  os.exit(1)
end
print(("listening on %s %d"):format(udp:getsockname()))
io.flush()

-- One socket serves everybody: there are no connections, and a peer that vanishes leaves nothing
-- behind. Under load datagrams are received and sent up to 32 at a time; the loop does not show it.
for data, peer_host, peer_port in udp:datagrams() do
  -- This fails for a peer that cannot be reached (or claims port 0). UDP promises nothing anyway,
  -- so its answer is dropped and the next peer served.
  udp:sendto(data, peer_host, peer_port)
end
