-- SPDX-License-Identifier: MIT
--
-- A STUN server (RFC 8489): tells each client from which address and port its datagram has come.
--
--   lariat stun_server.lua [HOST [PORT]]          (default 127.0.0.1 3478; port 0: any free port)
--
-- Try it with turnutils_stunclient -p 3478 127.0.0.1. The message is declared in wire/stun.lua.

local socket = require "socket"
package.path = arg[0]:gsub("[^/]*$", "") .. "?.lua;" .. package.path -- modules beside this script
local stun = require "wire.stun"

local host, port = arg[1] or "127.0.0.1", math.tointeger(arg[2] or 3478)
if arg[3] or not port or port < 0 or port > 65535 then
  io.stderr:write "usage: lariat stun_server.lua [HOST [PORT]]\n"
  os.exit(2)
end

local KNOWN = { username = true, xor_mapped_address = true, priority = true }

-- Attributes below 0x8000 have to be understood by whoever answers; those that are not, by number.
local function unknown(request)
  local types = {}
  for _, attribute in ipairs(request.attributes) do
    local kind = attribute.type
    if math.type(kind) == "integer" and kind < 0x8000 and not KNOWN[kind] then
      types[#types + 1] = kind
    end
  end
  return types
end

local function answer(request, peer_host, peer_port)
  local types = unknown(request)
  if types[1] then
    return { type = "binding_error", id = request.id, attributes = {
      { type = "error_code", class = 4, number = 20, reason = "Unknown Attribute" },
      { type = "unknown_attributes", types = types },
    } }
  end
  return { type = "binding_success", id = request.id, attributes = {
    { type = "xor_mapped_address", address = ("%s %d"):format(peer_host, peer_port) },
    { type = "software", text = "lariat" },
  } }
end

local udp = socket.udp()
local ok, message = udp:setsockname(host, port)
if not ok then
  io.stderr:write("stun_server: ", message, "\n")
  os.exit(1)
end
print(("listening on %s %d"):format(udp:getsockname()))
io.flush()

local function ignore() end -- what is no STUN message is not answered

for request, peer_host, peer_port in stun:datagrams(udp, ignore) do
  if request.type == "binding_request" then
    stun:write(udp, answer(request, peer_host, peer_port), peer_host, peer_port)
  end
end
