-- SPDX-License-Identifier: MIT
--
-- The text of the interpreter in each Wireshark plugin that dissector.lua makes. Wireshark's Lua is
-- 5.1 to 5.4 by version: no bit operators, no integer division, no string.unpack, no goto; numbers
-- may be doubles, so what is longer than 53 bits is shown from the bytes and never computed with.
--
-- The plugin has put before it: proto, MAIN (the message), STREAM, FIELDS, MESSAGES, CUSTOM.

return [==[
-- ---- the interpreter: the same in all plugins ----
local floor = math.floor
local READ, walk = {}, nil

-- c: tvb and its bytes s, the place p, the last place e, where the message began (at), the fields
-- read (m; m[0]: those of the table around it), how deep (d), inner: in a scope whose end is known.

-- What is lacking is a lower bound, unless it is the last scope of the message: only then may
-- Wireshark be told the number; with a lower bound it shows messages twice.
local function lack(c, exact, by)
  error({ short = not c.inner and (exact and by or "?") or nil, at = c.p }, 0)
end
local function need(c, k, exact)
  if c.p + k - 1 > c.e then lack(c, exact, c.p + k - 1 - c.e) end
end
local function bad(c, why) error({ why = why, at = c.p }, 0) end

local function add(c, n, from, size, v, text)
  if not (c.tree and n.f) then return end
  local item
  if v ~= nil then
    item = c.tree:add(FIELDS[n.f], c.tvb(from - 1, size), v)
  elseif n.le then
    item = c.tree:add_le(FIELDS[n.f], c.tvb(from - 1, size))
  else
    item = c.tree:add(FIELDS[n.f], c.tvb(from - 1, size))
  end
  if text then item:append_text(" (" .. text .. ")") end
end

local function get(c, name)
  local m = c.m
  while m do
    if m[name] ~= nil then return m[name] end
    m = m[0]
  end
end

-- A field's value is known: it may be the length of a scope around it.
local function set(c, n, v)
  if not n.name then return end
  c.m[n.name] = v
  if c.watch[n.name] then c.watch[n.name](v) end
end

-- Numbers

local function uint(s, p, n, le)
  local v = 0
  for i = 0, n - 1 do v = v * 256 + s:byte(le and p + n - 1 - i or p + i) end
  return v
end

local function signed(n, v)
  if n.signed and v >= 2 ^ (8 * n.size - 1) then return v - 2 ^ (8 * n.size) end
  return v
end

function READ.int(n, c)
  need(c, n.size)
  local from, v = c.p, signed(n, uint(c.s, c.p, n.size, n.le))
  if n.const and v ~= n.const then bad(c, n.const .. " expected, got " .. v) end
  c.p = c.p + n.size
  add(c, n, from, n.size)
  set(c, n, v)
  return v
end

function READ.float(n, c)
  need(c, n.size)
  add(c, n, c.p, n.size)
  c.p = c.p + n.size
end

-- w bits from bit `off` of the bytes at p: the lower 32 and the upper ones.
local function bits_at(c, p, off, w, lsb)
  local low, high = 0, 0
  for i = 0, w - 1 do
    local at = lsb and off + w - 1 - i or off + i
    local byte = c.s:byte(p + floor(at / 8))
    local bit = floor(byte / 2 ^ (lsb and at % 8 or 7 - at % 8)) % 2
    high = (high * 2 + floor(low / 2 ^ 31)) % 2 ^ 32
    low = (low * 2 + bit) % 2 ^ 32
  end
  return low, high
end

local function add_bits(g, n, c, from, size, v, low, high)
  if n.bool then return add(c, n, from, size, v == 1) end
  if n.big then return add(c, n, from, size, UInt64(low, high)) end
  add(c, n, from, size, v)
end

function READ.group(g, c)
  need(c, g.size)
  local start = c.p
  c.p = c.p + g.size
  for _, n in ipairs(g) do
    local a, b = floor(n.off / 8), floor((n.off + n.w - 1) / 8)
    local low, high = bits_at(c, start, n.off, n.w, g.lsb)
    local v, from, size = high * 2 ^ 32 + low, start + a, b - a + 1
    for _, wide in ipairs(n.wide or {}) do
      if v == wide[1] and wide[2] then
        need(c, wide[2])
        low = uint(c.s, c.p + math.max(wide[2] - 4, 0), math.min(wide[2], 4))
        high = wide[2] > 4 and uint(c.s, c.p, wide[2] - 4) or 0
        v, from, size = high * 2 ^ 32 + low, c.p, wide[2]
        c.p = c.p + wide[2]
        break
      end
    end
    if n.const and v ~= n.const then
      c.p = start
      bad(c, n.const .. " expected, got " .. v)
    end
    add_bits(g, n, c, from, size, v, low, high)
    set(c, n, n.bool and v == 1 or not n.bool and v)
  end
end

function READ.varint(n, c)
  local from, low, high, count = c.p, 0, 0, 0
  local byte
  repeat
    need(c, 1)
    byte = c.s:byte(c.p)
    c.p, count = c.p + 1, count + 1
    if count > n.most then bad(c, "more than " .. n.most .. " bytes") end
    local shift = 7 * (count - 1)
    if shift < 28 then low = low + byte % 128 * 2 ^ shift
    elseif shift == 28 then
      low = low + byte % 16 * 2 ^ 28
      high = floor(byte % 128 / 16)
    else high = (high + byte % 128 * 2 ^ (shift - 32)) % 2 ^ 32 end
  until byte < 128
  local v = high * 2 ^ 32 + low
  add(c, n, from, c.p - from, n.big and UInt64(low, high) or v)
  set(c, n, v)
  return v
end

function READ.quicint(n, c)
  need(c, 1)
  local size = 2 ^ floor(c.s:byte(c.p) / 64)
  need(c, size)
  local low = uint(c.s, c.p + math.max(size - 4, 0), math.min(size, 4))
  local high = size > 4 and uint(c.s, c.p, 4) or 0
  if size == 8 then high = high % 2 ^ 30 else low = low % 2 ^ (8 * size - 2) end
  add(c, n, c.p, size, UInt64(low, high))
  c.p = c.p + size
  set(c, n, high * 2 ^ 32 + low)
  return high * 2 ^ 32 + low
end

-- Bytes and text

function READ.bytes(n, c)
  need(c, n.size)
  local from, v = c.p, c.s:sub(c.p, c.p + n.size - 1)
  if n.const and v ~= n.const then bad(c, "not the constant") end
  c.p = c.p + n.size
  if n.size == 0 then return v end
  if n.names then add(c, n, from, n.size, v, n.names[v]) else add(c, n, from, n.size) end
  set(c, n, v)
  return v
end

local function find_end(c, d)
  local q = c.s:find(d, c.p, true)
  if not q or q + #d - 1 > c.e then
    error({ short = not c.inner and "?" or nil, why = c.inner and "no end" or nil, at = c.p }, 0)
  end
  return q
end

local function add_number(n, c, from, size, text)
  local v = text:find("^%-?%d+$") and tonumber(text)
  if not v then
    c.p = from
    bad(c, "not a number")
  end
  add(c, n, from, size, Int64(v))
  return v
end

function READ.upto(n, c)
  local q = find_end(c, n.delim)
  local from, v = c.p, c.s:sub(c.p, q - 1)
  c.p = q + #n.delim
  if n.num then v = add_number(n, c, from, q - from, v) else add(c, n, from, q - from) end
  set(c, n, v)
  return v
end

local function length(n, c)
  local l = n.len
  if type(l) == "number" then return l end
  if type(l) == "string" then return get(c, l) or bad(c, "no length") end
  return READ[l.kind](l, c)
end

function READ.str(n, c)
  local v = length(n, c)
  if n.absent == v then return end
  if v < 0 then bad(c, "a negative length") end
  need(c, v + (n.ends and #n.ends or 0))
  add(c, n, c.p, v)
  if n.name then c.m[n.name] = c.s:sub(c.p, c.p + v - 1) end
  c.p = c.p + v + (n.ends and #n.ends or 0)
end

function READ.rest(n, c)
  if c.e >= c.p then add(c, n, c.p, c.e - c.p + 1) end
  if n.name then c.m[n.name] = c.s:sub(c.p, c.e) end
  c.p = c.e + 1
end

function READ.word(n, c)
  if c.p > c.e then bad(c, "a word is missing") end
  local q = c.s:find(" ", c.p, true)
  if not q or q > c.e then q = c.e + 1 end
  local from, v = c.p, c.s:sub(c.p, q - 1)
  c.p = math.min(q + 1, c.e + 1)
  if n.num then v = add_number(n, c, from, q - from, v) else add(c, n, from, q - from) end
  set(c, n, v)
end

function READ.headers(n, c)
  while true do
    local q = find_end(c, "\r\n")
    if q == c.p then
      c.p = q + 2
      return
    end
    if not c.s:find("^[^:\r\n]+:", c.p) then bad(c, "not a header") end
    add(c, n, c.p, q - c.p)
    c.p = q + 2
  end
end

function READ.align(n, c)
  local k = -(c.p - c.at) % n.n
  need(c, k)
  c.p = c.p + k
end
]==]
