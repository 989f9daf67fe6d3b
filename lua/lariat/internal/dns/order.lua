-- SPDX-License-Identifier: MIT
--
-- In which order the addresses of a name are tried: RFC 6724, section 6, with its default policy.
-- The rules about deprecated and home addresses and about tunnels need to know more of the
-- machine's addresses than a socket tells, and are left out; the longest common prefix counts for
-- IPv6 only, since for IPv4 it would undo the turns that servers take.

local socket = require "socket.core"
local wire = require "lariat.wire"

local order = {}

local PORT = 9 -- any will do: connecting a UDP socket sends nothing

-- Prefix, its bits, precedence, label (RFC 6724, section 2.1), the longest first.
local POLICY = {
  { "::1", 128, 50, 0 }, { "::ffff:0:0", 96, 35, 4 }, { "::", 96, 1, 3 }, { "2001::", 32, 5, 5 },
  { "2002::", 16, 30, 2 }, { "3ffe::", 16, 1, 12 }, { "fec0::", 10, 1, 11 }, { "fc00::", 7, 3, 13 },
  { "::", 0, 40, 1 },
}

-- Sixteen bytes; IPv4 as ::ffff:a.b.c.d.
local function bytes_of(address)
  local four = wire.ipv4.from(address)
  if four then return ("\0"):rep(10) .. "\xff\xff" .. four end
  return wire.ipv6.from((address:gsub("%%.*$", "")))
end

local function common_bits(a, b)
  local high_a, low_a = (">I8I8"):unpack(a)
  local high_b, low_b = (">I8I8"):unpack(b)
  local differing, n = high_a ~ high_b, 0
  if differing == 0 then differing, n = low_a ~ low_b, 64 end
  while n < 128 and differing >= 0 do -- the highest bit is the sign
    if differing == 0 then return 128 end
    differing, n = differing << 1, n + 1
  end
  return n
end

local function policy_of(bytes)
  for _, entry in ipairs(POLICY) do
    entry.bytes = entry.bytes or bytes_of(entry[1])
    if common_bits(bytes, entry.bytes) >= entry[2] then return entry[3], entry[4] end
  end
end

local LINK, SITE, GLOBAL = 2, 5, 14

local function scope_of(bytes)
  local a, b = bytes:byte(1, 2)
  if bytes:sub(1, 12) == ("\0"):rep(10) .. "\xff\xff" then
    a, b = bytes:byte(13, 14)
    return (a == 127 or a == 169 and b == 254) and LINK or GLOBAL
  elseif a == 0xff then
    return b & 15
  elseif a == 0xfe and b & 0xc0 == 0x80 or bytes == ("\0"):rep(15) .. "\1" then
    return LINK
  end
  return a == 0xfe and b & 0xc0 == 0xc0 and SITE or GLOBAL
end

-- From which address it would be reached; nil: it cannot be.
local function source_of(address, sockets)
  local six = address:find(":", 1, true) ~= nil
  local udp = sockets[six] or (six and socket.udp6 or socket.udp4)()
  if not udp then return nil end
  sockets[six] = udp
  if not udp:setpeername(address, PORT) then return nil end
  return bytes_of((udp:getsockname()))
end

local function describe(address, i, sockets)
  local bytes = bytes_of(address)
  local source = source_of(address, sockets)
  local d = { address = address, index = i, reachable = source ~= nil, scope = scope_of(bytes) }
  d.precedence, d.label = policy_of(bytes)
  if source then
    local _, label = policy_of(source)
    d.same_scope, d.same_label = scope_of(source) == d.scope, label == d.label
    d.common = address:find(":", 1, true) and common_bits(bytes, source)
  end
  return d
end

-- Rules 1, 2, 5, 6, 8, 9 and 10.
local function before(a, b)
  if a.reachable ~= b.reachable then return a.reachable end
  if a.same_scope ~= b.same_scope then return a.same_scope == true end
  if a.same_label ~= b.same_label then return a.same_label == true end
  if a.precedence ~= b.precedence then return a.precedence > b.precedence end
  if a.scope ~= b.scope then return a.scope < b.scope end
  if a.common and b.common and a.common ~= b.common then return a.common > b.common end
  return a.index < b.index
end

--- Sorts addresses.
---@param addresses string[]
---@return string[]
function order.sort(addresses)
  if not addresses[2] then return addresses end
  local list, sorted, sockets = {}, {}, {}
  for i, address in ipairs(addresses) do list[i] = describe(address, i, sockets) end
  for _, udp in pairs(sockets) do udp:close() end
  table.sort(list, before)
  for i, d in ipairs(list) do sorted[i] = d.address end
  return sorted
end

return order
