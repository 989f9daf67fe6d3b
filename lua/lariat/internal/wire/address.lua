-- SPDX-License-Identifier: MIT
--
-- Types whose values are shown as text or as something handier: addresses, signed varints.

local types = require "lariat.internal.wire.types"
local byte, char, pack, unpack = string.byte, string.char, string.pack, string.unpack

local address = {}

local function parse_four(text)
  local a, b, c, d = text:match "^(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)$"
  if not a then return nil end
  a, b, c, d = tonumber(a), tonumber(b), tonumber(c), tonumber(d)
  return a < 256 and b < 256 and c < 256 and d < 256 and char(a, b, c, d) or nil
end

local function show_four(bytes)
  return ("%d.%d.%d.%d"):format(byte(bytes, 1, 4))
end

--- An IPv4 address in text.
address.ipv4 = types.mapped(types.bytes(4), show_four, parse_four, function(r)
  return show_four(char(r(256) - 1, r(256) - 1, r(256) - 1, r(256) - 1))
end)
address.ipv4.type = "ipv4"

-- The groups of one side of "::", each two bytes.
local function parse_groups(text)
  local groups = {}
  for group in (text .. ":"):gmatch "([^:]*):" do
    if text == "" then break end
    if not group:find "^%x%x?%x?%x?$" then
      local four = group:find(".", 1, true) and parse_four(group)
      if not four then return nil end
      groups[#groups + 1] = unpack(">I2", four)
      groups[#groups + 1] = unpack(">I2", four, 3)
    else
      groups[#groups + 1] = tonumber(group, 16)
    end
  end
  return groups
end

local function parse_six(text)
  local before, after = text:match "^(.-)::(.*)$"
  local head, tail = parse_groups(before or text), parse_groups(after or "")
  if not head or not tail then return nil end
  local missing = 8 - #head - #tail
  if before and missing < 1 or not before and missing ~= 0 then return nil end
  for _ = 1, missing do head[#head + 1] = 0 end
  table.move(tail, 1, #tail, #head + 1, head)
  return pack((">I2"):rep(8), table.unpack(head))
end

-- Where the longest run of zeros begins, and its length; one zero alone is no run.
local function longest_zeros(groups)
  local best, size, i = nil, 1, 1
  while i <= 8 do
    local j = i
    while groups[j] == 0 do j = j + 1 end
    if j - i > size then best, size = i, j - i end
    i = j + 1
  end
  return best, size
end

local function show_six(bytes)
  local groups = { unpack((">I2"):rep(8), bytes) }
  groups[9] = nil
  local at, size = longest_zeros(groups)
  for i = 1, 8 do groups[i] = ("%x"):format(groups[i]) end
  if not at then return table.concat(groups, ":") end
  return table.concat(groups, ":", 1, at - 1) .. "::" .. table.concat(groups, ":", at + size)
end

--- An IPv6 address in text, as RFC 5952 writes it.
address.ipv6 = types.mapped(types.bytes(16), show_six, parse_six, function(r)
  local groups = {}
  for i = 1, 8 do groups[i] = r(3) == 1 and 0 or r(65536) - 1 end
  return show_six(pack((">I2"):rep(8), table.unpack(groups)))
end)
address.ipv6.type = "ipv6"

--- A signed number as a varint: 0, -1, 1, -2, ...
address.zigzag = types.mapped(types.varint, function(v) return (v >> 1) ~ -(v & 1) end,
  function(v) return (v << 1) ~ (v >> 63 == 1 and -1 or 0) end,
  function(r) return (r(2) == 1 and -1 or 1) * (r(1 << r(40)) - 1) end)
address.zigzag.type = "zigzag"

return address
