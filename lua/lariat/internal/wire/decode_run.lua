-- SPDX-License-Identifier: MIT
--
-- Decoding a run of fields of known size by one call: byte() if they are short, else unpack(),
-- whichever costs less. Each item of a run is { n = field }, or { n = type, length_of = field } for
-- the length of what comes behind the run; reading adds `raw`, an expression, or `bytes`,
-- variables.

local Decoder = require "lariat.internal.wire.decoder"
local Source = require "lariat.internal.wire.source"
local byte = string.byte

-- Nanoseconds, as measured by bench/wire.lua.
local COST = { byte_call = 18, byte = 4, sub = 27, unpack_call = 30, unpacked = 11, text = 15 }
local MOST_BYTES = 64 -- that one byte() returns

local function is_skipped(n)
  return n.kind == "bytes" and not n.name and n.const == nil
end

-- Read as a string? Short constants are compared byte by byte, single bytes looked up.
local function is_text(n)
  return n.kind == "bytes" and n.size ~= 1 and not is_skipped(n) and
    not (n.const and not n.name and n.size <= 4)
end

-- Can its value be made of bytes with shifts?
local function is_short(n)
  return n.kind == "bytes" or n.kind == "group" or n.kind == "int" and not n.signed and n.size <= 4
end

local function reads_bytes(items, total)
  local calls, numbers, texts, joined = 0, 0, 0, false
  for _, item in ipairs(items) do
    local n = item.n
    if n.kind == "group" and n.size > 8 then return true end
    if not is_short(n) then return false end
    if is_text(n) then
      texts = texts + 1
    elseif not is_skipped(n) then
      numbers = numbers + 1
      if not joined then calls = calls + 1 end
    end
    joined = not is_text(n) and not is_skipped(n)
  end
  return COST.byte_call * calls + COST.byte * total + COST.sub * texts <=
    COST.unpack_call + COST.unpacked * numbers + COST.text * texts
end

-- Reading ----------------------------------------------------------------------------------------

-- "s, p + 3, p + 7"
local function range(from, size)
  return ("s, p%s, p + %d"):format(from > 0 and " + " .. from or "", from + size - 1)
end

function Decoder:read_bytes(items)
  local names, from = {}, 0
  local function flush()
    if not names[1] then return end
    self:let(table.concat(names, ", "), ("byte(%s)"):format(range(from, #names)))
    names = {}
  end
  for _, item in ipairs(items) do
    local n = item.n
    if is_text(n) then
      flush()
      item.raw = self:as_variable("b", ("sub(%s)"):format(range(item.at, n.size)))
    elseif is_skipped(n) then
      flush()
    else
      if #names + n.size > MOST_BYTES then flush() end
      if not names[1] then from = item.at end
      item.bytes = {}
      for i = 1, n.size do
        item.bytes[i] = self:new_variable "b"
        names[#names + 1] = item.bytes[i]
      end
    end
  end
  flush()
end

local function format_of(n)
  if n.kind == "bytes" then return is_skipped(n) and ("x"):rep(n.size) or "c" .. n.size end
  if n.kind == "group" then return (n.lsb and "<I" or ">I") .. n.size end
  return n.fmt
end

-- Formats in a row, with the byte order said only where it changes.
local function join_formats(formats)
  local parts, order = {}, nil
  for i, format in ipairs(formats) do
    local own = format:match "^[<>]"
    if own then
      format = own == order and format:sub(2) or format
      order = own
    end
    parts[i] = format
  end
  return table.concat(parts)
end
Decoder.join_formats = join_formats

function Decoder:unpack_run(items)
  local formats, names = {}, {}
  for i, item in ipairs(items) do
    formats[i] = format_of(item.n)
    if not is_skipped(item.n) then
      item.raw = self:new_variable "b"
      names[#names + 1] = item.raw
    end
  end
  names[#names + 1] = "p"
  local fresh = #names > 1 and table.concat(names, ", ", 1, #names - 1)
  if fresh then self:let(fresh) end
  self:w("%s = unpack(%s, s, p)", table.concat(names, ", "), Source.quote(join_formats(formats)))
end

-- Values -----------------------------------------------------------------------------------------

-- The number that some bytes are.
local function combine(bytes, little)
  local parts = {}
  for i, b in ipairs(bytes) do
    local shift = 8 * (little and i - 1 or #bytes - i)
    parts[i] = shift > 0 and ("%s << %d"):format(b, shift) or b
  end
  return table.concat(parts, " | ")
end

-- A bit field of a group whose number is `raw`.
local function bits_of_number(raw, group, f)
  local shift = group.lsb and f.off or group.size * 8 - f.off - f.w
  if f.bool then return ("%s & %d"):format(raw, 1 << shift) end
  local x = shift > 0 and ("%s >> %d"):format(raw, shift) or raw
  return f.w + shift < 8 * group.size and ("%s & %d"):format(x, (1 << f.w) - 1) or x
end

-- A bit field of a group, the highest bits first, of which we have the bytes.
local function bits_of_bytes(bytes, f)
  local first, last = f.off // 8, (f.off + f.w - 1) // 8
  local shift, ahead = (last + 1) * 8 - f.off - f.w, f.off % 8
  if f.bool then return ("%s & %d"):format(bytes[first + 1], 1 << shift) end
  if first == last then
    local x = bytes[first + 1]
    if shift > 0 then x = ("%s >> %d"):format(x, shift) end
    return ahead > 0 and ("%s & %d"):format(x, (1 << f.w) - 1) or x
  end
  local parts = {}
  for i = first, last do
    local x = bytes[i + 1]
    if i == first and ahead > 0 then x = ("(%s & %d)"):format(x, (1 << 8 - ahead) - 1) end
    local by = (last - i) * 8 - shift
    parts[#parts + 1] = by > 0 and ("%s << %d"):format(x, by) or
      by < 0 and ("%s >> %d"):format(x, -by) or x
  end
  return table.concat(parts, " | ")
end

function Decoder:take_group(item, from)
  local group, raw = item.n, item.raw
  if item.bytes and group.lsb then raw = self:as_variable("n", combine(item.bytes, true)) end
  for _, f in ipairs(group) do
    local bits = raw and bits_of_number(raw, group, f) or bits_of_bytes(item.bytes, f)
    self:value(f, bits, from, group.size, f.off, f.w)
  end
end

-- A single byte as a string, or by its name.
function Decoder:take_byte(item, from)
  local n, code = item.n, item.bytes[1]
  if not n.rev then return self:value(n, ("B[%s]"):format(code), from, 1) end
  local names = {}
  for raw, name in pairs(n.rev) do
    if #raw == 1 then names[byte(raw)] = name end
  end
  local named = setmetatable({ rev = false }, { __index = n })
  self:value(named, ("%s[%s] or B[%s]"):format(self:outer(names), code, code), from, 1)
end

function Decoder:take_constant(item, from)
  local n, conditions = item.n, {}
  for i, b in ipairs(item.bytes) do
    conditions[i] = ("%s ~= %d"):format(b, byte(n.const, i))
  end
  local constant = Source.quote(n.const)
  self:w("if %s then %s end", table.concat(conditions, " or "), self:fail(n,
    ("expected(%s, char(%s))"):format(constant, table.concat(item.bytes, ", ")), from))
  self:trace_field(n, constant, from, n.size)
end

--- What the length of a field is called in dumps.
function Decoder.length_name(n)
  return n.lenname or n.name ~= "_" and n.name and n.name .. "#" or "#"
end

-- The length of what comes behind the run.
function Decoder:take_length(item, from)
  local raw = item.raw or combine(item.bytes, item.n.le)
  item.variable = Source.is_variable(raw) and raw or self:as_variable("n", raw)
  local field = { name = Decoder.length_name(item.length_of), kind = "int", type = item.n.type }
  self:trace_field(field, item.variable, from, item.n.size)
end

local function take(self, item, from)
  local n = item.n
  if item.length_of then
    self:take_length(item, from)
  elseif n.kind == "group" then
    self:take_group(item, from)
  elseif is_skipped(n) then
    self:trace_field(n, "'padding'", from, n.size)
  elseif n.kind == "bytes" and item.bytes and n.const and not n.name then
    self:take_constant(item, from)
  elseif n.kind == "bytes" and item.bytes then
    self:take_byte(item, from)
  else
    self:value(n, item.raw or combine(item.bytes, n.le), from, n.size)
  end
end

--- Decodes a run.
function Decoder:run(items)
  local total = 0
  for _, item in ipairs(items) do
    item.at = total
    total = total + item.n.size
  end
  local first = items[1]
  local what = first.length_of and not items[2] and "a length" or nil
  if total > 0 then self:need(total, first.length_of or first.n[1] or first.n, what) end
  if reads_bytes(items, total) then
    self:read_bytes(items)
    self:w("p = p + %d", total)
  else
    self:unpack_run(items)
  end
  for _, item in ipairs(items) do take(self, item, ("p - %d"):format(total - item.at)) end
end

--- After a run whose last field is escaped bits: a larger number follows if its value says so.
function Decoder:widen(group)
  local f = group[#group]
  local v = self:variable(f.name)
  local from = self.mode == "traced" and self:as_variable("p", ("p - %d"):format(group.size))
  for i, code in ipairs(f.codes) do
    local wide = f.wide[code]
    self:w("%s %s == %d then", i == 1 and "if" or "elseif", v, code)
    self:need(wide.size, f)
    self:w("%s, p = unpack(%s, s, p)", v, Source.quote(wide.fmt))
    if wide.size == 8 then
      self:w("if %s < 0 then %s end", v, self:fail(f, "'more than 63 bits'", "p - 8"))
    end
  end
  self:w "end"
  if from then self:trace_field(f, v, from, "p - " .. from) end
end

return Decoder
