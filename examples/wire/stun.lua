-- SPDX-License-Identifier: MIT
--
-- STUN (RFC 8489), declared, with XOR-MAPPED-ADDRESS as a type of one's own.

local wire = require "lariat.wire"
local _ENV = wire.names(_ENV)
local byte, char, pack, unpack = string.byte, string.char, string.pack, string.unpack

local COOKIE = "\x21\x12\xa4\x42"

local function masked(bytes, id)
  local key, out = COOKIE .. id, {}
  for i = 1, #bytes do out[i] = char(byte(bytes, i) ~ byte(key, i)) end
  return table.concat(out)
end

-- "192.0.2.1 3478": the address and the port, hidden from routers that rewrite addresses.
local xor_address = custom {
  name = "xor_address", uses = { "id" },
  decode = function(s, p, e, _, id)
    if p + 7 > e then return nil end
    local family, port = unpack(">xBI2", s, p)
    local address = family == 1 and ipv4 or family == 2 and ipv6
    if not address then return nil, "an unknown family of addresses" end
    local last = p + 3 + address.size
    if last > e then return nil end
    return address.to(masked(s:sub(p + 4, last), id)) .. " " .. (port ~ 0x2112), last + 1
  end,
  encode = function(text, _, _, id)
    local host, port = text:match "^(%S+) (%d+)$"
    local four = host:find(".", 1, true)
    local bytes = four and ipv4.from(host) or ipv6.from(host)
    return pack(">xBI2", four and 1 or 2, tonumber(port) ~ 0x2112) .. masked(bytes, id)
  end,
  random = function(r)
    return (r(2) == 1 and ipv4 or ipv6).gen(r) .. " " .. r(65535)
  end,
}

return message "stun" {
  bits(2) (0), bits(14) "type" { binding_request = 1, binding_indication = 0x11,
    binding_success = 0x101, binding_error = 0x111 },
  u16 "length", u32(0x2112a442), bytes(12) "id",
  size "length" {
    list(rest) "attributes" {
      u16 "type" { username = 6, error_code = 9, unknown_attributes = 10,
        xor_mapped_address = 0x20, priority = 0x24, software = 0x8022, fingerprint = 0x8028 },
      size(u16, "length") {
        switch "type" {
          ["username software"] = { rest "text" },
          error_code = { bits(21), bits(3) "class", u8 "number", rest "reason" },
          unknown_attributes = { list(rest) "types" (u16) },
          xor_mapped_address = { xor_address "address" },
          priority = { u32 "priority" },
          fingerprint = { u32 "crc" },
          default = { rest "data" },
        },
      },
      align(4),
    },
  },
}
