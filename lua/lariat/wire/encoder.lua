-- SPDX-License-Identifier: MIT
--
-- Compiles a message to an encoder: f(m, d) -> bytes, which raises if a value does not fit; why is
-- found out afterwards, by explain.lua. `d` is how deeply the message is nested.
--
-- Lengths, counts and checksums are not in the table m. What is as long as a string or a list is
-- written as #m.name where it is needed. The length of a scope gets a variable, set once the
-- scope's pieces are known: the bytes that have it in them are put together after that.
--
-- Invariant: no part is put together while a length or checksum in it is unknown (`unknown` is the
-- set of those): such a declaration is refused.

local node = require "lariat.wire.node"
local pieces = require "lariat.wire.pieces"
local Source = require "lariat.wire.source"

---@class lariat.wire.Encoder: lariat.wire.Source
local Encoder = setmetatable({}, { __index = Source })
Encoder.__index = Encoder

local literal = Source.literal

-- Where values are -------------------------------------------------------------------------------

--- The expression of a field of the innermost table, or the item itself.
function Encoder:field(name)
  if name == "_" then return self.item end
  return Source.dot(self.table, name)
end

local function table_of(self, name)
  for i = #self.tables, 1, -1 do
    if self.tables[i].names[name] then return self.tables[i].variable end
  end
  return self.table
end

--- The expression of a field of this table or one around it.
function Encoder:lookup(name)
  return Source.dot(table_of(self, name), name)
end

--- Writes what f does for fields of the table in a variable.
function Encoder:in_table(variable, seq, f)
  local was, names = self.table, {}
  for _, n in ipairs(node.fields_of(seq)) do names[n.name] = true end
  self.table = variable
  table.insert(self.tables, { variable = variable, names = names })
  f()
  table.remove(self.tables)
  self.table = was
end

--- The expression of what is written for a value of bytes or text.
function Encoder:raw(n, v)
  if n.enum then v = ("(%s[%s] or %s)"):format(self:outer(n.enum), v, v) end
  if n.from then v = ("%s(%s)"):format(self:outer(n.from), v) end
  return v
end

-- How long the string, or how many the items, of a field whose length is elsewhere; nil: not there.
local function size_of(self, user, variable)
  local v = Source.dot(variable, user.name)
  if user.from or user.enum then
    return ("%s and #%s"):format(v, self:raw(user, v))
  end
  return ("%s and #%s"):format(v, v)
end

--- The expression of a length, a count or a checksum.
function Encoder:derived(n)
  local user = n.derived
  if user.kind == "size" or user.kind == "check" then
    if not self.lengths[user] then self.lengths[user] = self:as_variable("l", "0") end
    return self.lengths[user]
  end
  local variable, parts, absent = table_of(self, n.name), {}, "0"
  for i, one in ipairs(n.users) do
    parts[i] = size_of(self, one, variable)
    if one.absent then absent = tostring(one.absent) end
  end
  return ("(%s or %s)"):format(table.concat(parts, " or "), absent)
end

--- Remembers that the length of a scope is in the pieces, and not known yet.
function Encoder:awaits(n)
  if n.derived and (n.derived.kind == "size" or n.derived.kind == "check") then
    self.unknown[n] = true
  end
end

--- Before a part is put together.
function Encoder:check_known()
  local open = next(self.unknown)
  if not open then return end
  node.complain(open, "%s: what '%s' is computed from lies outside of the branch or table it is in",
    self.message.name, open.name)
end

--- Runs f with what it adds to the lengths and what is to be finished seen by it alone: in a
--- branch.
function Encoder:in_branch(f)
  local lengths, finish = self.lengths, self.finish
  self.lengths = setmetatable({}, { __index = lengths })
  self.finish = setmetatable({}, { __index = finish })
  f()
  self.lengths, self.finish = lengths, finish
end

--- Writes a part that is put together by itself; returns the variable of its bytes. `condition`:
--- the part is empty if it does not hold.
function Encoder:part(seq, start, condition)
  local unknown, words = self.unknown, self.words
  self.unknown = {}
  local w = self:as_variable("w", "''")
  self:w(condition and ("if %s then"):format(condition) or "do")
  self:in_branch(function()
    self:sequence(seq, 1, start, function(last)
      self:check_known()
      self:w("%s = %s", w, pieces.build(last))
    end, 1)
  end)
  self:w "end"
  self.unknown = unknown
  self.words = math.max(words, self.words)
  return w
end

--- The first piece of a part that knows where in the message it begins.
function Encoder:start(last)
  return self.base and { len = pieces.length(last, self.frame), mark = true } or nil
end

-- Numbers ----------------------------------------------------------------------------------------

-- A flag that is not in the table says whether the fields that depend on it are.
local function presence(self, n, v)
  local first = node.first_name(n.presence)
  if not first then return v end
  local t = self:as_variable("v", v)
  self:w("if %s == nil then %s = %s ~= nil end", t, t, self:field(first))
  return t
end

--- The expression of the number that is written for a field.
function Encoder:scalar(n)
  if n.derived then return self:derived(n) end
  if n.const ~= nil then return literal(n.const) end
  if not n.name then return "0" end
  local v = self:field(n.name)
  if n.presence then v = presence(self, n, v) end
  if not n.enum and n.default == nil and not n.from then return v end
  if not Source.is_variable(v) then v = self:as_variable("v", v) end
  if n.default ~= nil then self:w("if %s == nil then %s = %s end", v, v, literal(n.default)) end
  if n.from then v = ("%s(%s)"):format(self:outer(n.from), v) end
  return n.enum and ("(%s[%s] or %s)"):format(self:outer(n.enum), v, v) or v
end

--- A number in front of something: a length or a count.
function Encoder:put_number(last, n, v)
  if n.kind == "int" then return pieces.number(last, n, v) end
  if n.kind == "varint" then
    local l = self:as_variable("l", v)
    if n.most < 10 then self:w("if %s < 0 or %s > %d then error('range', 0) end", l, l, n.max) end
    return pieces.text(last, self:as_variable("x",
      ("%s < 128 and B[%s] or varint(%s)"):format(l, l, l)))
  elseif n.kind == "quicint" then
    return pieces.text(last, self:as_variable("x", ("quicint(%s)"):format(v)))
  end
  return pieces.text(last, self:as_variable("x", ("(%s) .. %s"):format(v, Source.quote(n.delim))))
end

-- Bits -------------------------------------------------------------------------------------------

-- Bits of which some values mean that a larger number follows: the variables of the bits and of
-- that.
local function escape(self, f, v)
  local bits, tail = self:as_variable("v", "0"), self:as_variable("x", "''")
  local function finish(value)
    self:w("%s = %s if %s < 0 then error('range', 0) end", bits, value, bits)
    self:w("if %s >= %d then", bits, f.codes[1])
    for i, code in ipairs(f.codes) do
      local wide = f.wide[code]
      local last = i == #f.codes
      self:w(last and (i > 1 and "else" or "") or
        ("%s %s <= %d then"):format(i == 1 and "if" or "elseif", bits, wide.max))
      self:w("%s = pack(%s, %s) %s = %d", tail, Source.quote(wide.fmt), bits, bits, code)
    end
    self:w(f.codes[2] and "end end" or "end")
  end
  if f.derived and f.derived.kind == "size" then self.finish[f] = finish else finish(v) end
  return bits, tail
end

-- The terms of a group, and what must be zero for all of them to fit.
local function terms_of(self, group)
  local terms, over, tail, flags = {}, {}, nil, {}
  for i, f in ipairs(group) do
    local v = self:scalar(f)
    self:awaits(f)
    if f.wide then
      v, tail = escape(self, f, v)
    elseif f.bool and f.const == nil and f.name then
      flags[i] = v
      v = ("(%s and 1 or 0)"):format(v)
    elseif f.derived and f.derived.kind == "size" then
      self.finish[f] = function(value)
        self:w("if %s >> %d ~= 0 then error('range', 0) end", value, f.w)
      end
    elseif f.const == nil and f.name then
      v = self:as_variable("v", f.derived and v or v .. " or 0")
      over[#over + 1] = f.w < 64 and ("%s >> %d"):format(v, f.w) or nil
    end
    terms[i] = v
  end
  return terms, over, tail, flags
end

-- Byte i of a group of more than 64 bits.
local function byte_of(group, terms, i)
  local parts = {}
  for j, f in ipairs(group) do
    if f.off < i * 8 + 8 and f.off + f.w > i * 8 then
      local by = (i + 1) * 8 - f.off - f.w
      parts[#parts + 1] = ("(%s %s %d & 255)"):format(terms[j], by >= 0 and "<<" or ">>",
        math.abs(by))
    end
  end
  return table.concat(parts, " | ")
end

function Encoder:group(last, group)
  local terms, over, tail, flags = terms_of(self, group)
  if over[1] then self:w("if %s ~= 0 then error('range', 0) end", table.concat(over, " | ")) end
  if group.size > 8 then
    for i = 0, group.size - 1 do
      last = pieces.number(last, { fmt = "B", size = 1 }, byte_of(group, terms, i))
    end
  else
    local shifted = {}
    for i, f in ipairs(group) do
      local shift = group.lsb and f.off or group.size * 8 - f.off - f.w
      shifted[i] = flags[i] and ("(%s and %d or 0)"):format(flags[i], 1 << shift) or
        shift > 0 and ("%s << %d"):format(terms[i], shift) or terms[i]
    end
    local word = { fmt = (group.lsb and "<I" or ">I") .. group.size, size = group.size }
    last = pieces.number(last, word, table.concat(shifted, " | "))
  end
  return tail and pieces.text(last, tail) or last
end

-- Sequences --------------------------------------------------------------------------------------

--- Encodes nodes from the i-th on, behind the piece `last`; then does what `after` writes, with the
--- last piece. A node that ends in branches writes all that follows into each.
function Encoder:sequence(nodes, i, last, after, weight)
  for j = i, #nodes do
    local n = nodes[j]
    if n.kind == "int" or n.kind == "float" then
      last = pieces.number(last, n, self:scalar(n))
      self:awaits(n)
    elseif n.kind == "group" then
      last = self:group(last, n)
    else
      local stop
      last, stop = self["on_" .. n.kind](self, n, last, nodes, j, after, weight)
      if stop then return end
    end
  end
  return after(last)
end

--- Compiles a message to an encoder.
---@param message lariat.wire.Message
---@param roomy boolean
---@return function
function Encoder.compile(message, roomy)
  local self = Source.new(Encoder, message, "encode", roomy)
  self.tables, self.lengths, self.finish, self.unknown, self.words = {}, {}, {}, {}, 0
  node.walk(message.seq, function(n)
    if n.kind == "align" or n.def and n.def.offset then self.base = "0" end
  end)
  self:w "local f function f(m, d)"
  if roomy then self:w "local V = {}" end
  if message.looks_back then self:w "local context = {}" end
  self:in_table("m", message.seq, function()
    self:sequence(message.seq, 1, nil, function(last)
      self:w("do return %s end", pieces.build(last))
    end, 0)
  end)
  self:w "end"
  return self:build()
end

return Encoder
