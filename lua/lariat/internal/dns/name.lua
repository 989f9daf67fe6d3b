-- SPDX-License-Identifier: MIT
--
-- A DNS name as a type of one's own: labels, and pointers back into the message. Names are text
-- without the last dot; a dot or a backslash in a label is written "\.", other bytes as they are.

local wire = require "lariat.wire"
local byte, char, pack, sub = string.byte, string.char, string.pack, string.sub

local LONGEST = 255 -- bytes of a name

local function decode(s, p, e, at)
  local labels, size, after = {}, 0, nil
  local limit = p -- a pointer leads to before where the name, or the last jump, began
  while true do
    local l = byte(s, p)
    if not l or p > e then return nil, after and "a name that a pointer leads to is cut off" end
    if l == 0 then break end
    if l < 64 then
      if p + l > e then return nil, after and "a name that a pointer leads to is cut off" end
      size = size + l + 1
      if size >= LONGEST then return nil, "a name of more than 255 bytes" end
      labels[#labels + 1] = sub(s, p + 1, p + l):gsub("[.\\]", "\\%0")
      p = p + l + 1
    elseif l < 192 then
      return nil, "a reserved kind of label"
    else
      local low = p < e and byte(s, p + 1)
      if not low then return nil, after and "a pointer is cut off" end
      local to = at + ((l & 63) << 8 | low)
      if to >= limit then return nil, "a pointer that does not point back" end
      after, limit, p = after or p + 2, to, to
    end
  end
  return table.concat(labels, "."), after or p + 1
end

-- The labels of a name as text.
local function split(name)
  local labels = {}
  local escaped = name:gsub("\\(.)", function(c) return ("\\%03d"):format(byte(c)) end)
  if escaped:find("..", 1, true) or escaped:find "^%." then error("an empty label", 0) end
  for label in escaped:gmatch "[^.]+" do
    labels[#labels + 1] = label:gsub("\\(%d%d%d)", function(code) return char(tonumber(code)) end)
  end
  return labels
end

-- places: suffix -> offset, for this message
local function encode(name, offset, places)
  local labels, out, size = split(name), {}, 0
  for i, label in ipairs(labels) do
    local suffix = table.concat(labels, "\0", i)
    local known = places[suffix]
    if known then
      out[#out + 1] = pack(">I2", 0xc000 | known)
      return table.concat(out)
    end
    if #label > 63 then error("a label of more than 63 bytes", 0) end
    size = size + #label + 1
    if size >= LONGEST then error("a name of more than 255 bytes", 0) end
    if offset < 0x4000 then places[suffix] = offset end
    out[#out + 1] = char(#label) .. label
    offset = offset + #label + 1
  end
  out[#out + 1] = "\0"
  return table.concat(out)
end

local WORDS = { "www", "example", "com", "net", "a", "mail" }

local function random(r)
  local labels = {}
  for i = 1, r(4) - 1 do labels[i] = WORDS[r(#WORDS)] end
  return table.concat(labels, ".")
end

-- The same in the Lua of Wireshark, which has no bit operators: (bytes, place, last, beginning of
-- the message) -> text, next | nil: cut off
local SOURCE = [[function(s, p, e, at)
  local labels, after, hops = {}, nil, 0
  while true do
    local l = s:byte(p)
    if not l or p > e then return nil end
    if l == 0 then p = p + 1 break
    elseif l < 64 then labels[#labels + 1] = s:sub(p + 1, p + l) p = p + l + 1
    else
      local low = s:byte(p + 1)
      if not low then return nil end
      hops = hops + 1
      if hops > 64 then return "<loop>", p + 2 end
      after, p = after or p + 2, at + (l - 192) * 256 + low
    end
  end
  return #labels > 0 and table.concat(labels, ".") or "<Root>", after or p
end]]

local function encode_plainly(name, offset) return encode(name, offset, {}) end

local function type_with(encoder)
  return wire.custom {
    name = "dns_name", offset = true, max = LONGEST,
    decode = decode, encode = encoder, random = random, source = SOURCE,
  }
end

-- `plain` is written without pointers, as names in the data of newer types have to be.
return { compressed = type_with(encode), plain = type_with(encode_plainly), split = split }
