-- SPDX-License-Identifier: MIT
--
-- Encoding fields that have no fixed size in a table: bytes, text, varints, words, headers, types
-- of one's own.

local Encoder = require "lariat.wire.encoder"
local node = require "lariat.wire.node"
local pieces = require "lariat.wire.pieces"
local Source = require "lariat.wire.source"
local quote = Source.quote

-- A variable with what is written for a field.
local function text_of(self, n)
  local v = self:as_variable("v", self:field(n.name))
  if n.default ~= nil then
    self:w("if %s == nil then %s = %s end", v, v, Source.literal(n.default))
  end
  if n.enum or n.from then self:w("%s = %s", v, self:raw(n, v)) end
  return v
end

function Encoder:on_bytes(n, last)
  if n.const then return pieces.text(last, quote(n.const), #n.const) end
  if n.skip or not n.name then return pieces.text(last, quote(("\0"):rep(n.size)), n.size) end
  local t = text_of(self, n)
  self:w("if #%s ~= %d then error('length', 0) end", t, n.size)
  return pieces.text(last, t, n.size)
end

-- Its length is another field: one that is derived from it, or one that must fit.
local function behind_field(self, n, last)
  if n.absent then
    local v = self:as_variable("v", self:field(n.name))
    self:w("if %s ~= nil then %s = %s%s else %s = '' end", v, v, self:raw(n, v),
      n.ends and " .. " .. quote(n.ends) or "", v)
    return pieces.text(last, v)
  end
  local t = text_of(self, n)
  local field = n.lens[1]
  if field.derived ~= n or field.users[2] then
    local expected = field.derived and self:derived(field) or self:lookup(field.name)
    self:w("if #%s ~= %s then error('length', 0) end", t, expected)
  end
  last = pieces.text(last, t)
  return n.ends and pieces.text(last, quote(n.ends), #n.ends) or last
end

function Encoder:on_str(n, last)
  if type(n.len) == "string" then return behind_field(self, n, last) end
  if n.absent then
    local v = self:as_variable("v", self:field(n.name))
    if n.enum or n.from then self:w("if %s ~= nil then %s = %s end", v, v, self:raw(n, v)) end
    last = self:put_number(last, n.len, ("(%s and #%s or %d)"):format(v, v, n.absent))
    self:w("%s = %s%s or ''", v, v, n.ends and " and " .. v .. " .. " .. quote(n.ends) or "")
    return pieces.text(last, v)
  end
  local t = text_of(self, n)
  if n.len.kind == "int" and not n.len.signed and not n.ends then
    local piece = pieces.number(last, { fmt = (n.len.le and "<s" or ">s") .. n.len.size,
      size = n.len.size }, t)
    piece.len = "#" .. t
    return piece
  end
  last = pieces.text(self:put_number(last, n.len, "#" .. t), t)
  return n.ends and pieces.text(last, quote(n.ends), #n.ends) or last
end

-- A space before each word but the first of its scope.
local function spaced(self, last)
  self.words = self.words + 1
  return self.words > 1 and pieces.text(last, '" "', 1) or last
end

function Encoder:on_rest(n, last)
  if self.words > 0 then last = spaced(self, last) end
  return pieces.text(last, text_of(self, n))
end

-- A varint that says how long a scope is: written once that is known.
local function length_ahead(self, n, last)
  local x = self:as_variable("x", "''")
  self:awaits(n)
  self.finish[n] = function(value)
    if n.kind == "varint" and n.most < 10 then
      self:w("if %s > %d then error('range', 0) end", value, n.max)
    end
    self:w(n.kind == "quicint" and "%s = quicint(%s)" or n.kind == "varint" and "%s = varint(%s)" or
      "%s = %s .. " .. quote(n.delim or ""):gsub("%%", "%%%%"), x, value)
  end
  return pieces.text(last, x)
end

function Encoder:on_varint(n, last)
  if n.derived and n.derived.kind == "size" then return length_ahead(self, n, last) end
  return self:put_number(last, n, self:scalar(n))
end
Encoder.on_quicint = Encoder.on_varint

-- A variable with the decimal digits of a field.
local function digits_of(self, n)
  local t = self:as_variable("v", self:scalar(n))
  self:w("%s = tointeger(%s) if not %s then error('number', 0) end", t, t, t)
  return t
end

function Encoder:on_upto(n, last)
  if n.num and n.derived and n.derived.kind == "size" then return length_ahead(self, n, last) end
  if n.num then
    local t = digits_of(self, n)
    self:w("%s = %s .. %s", t, t, quote(n.delim))
    return pieces.text(last, t)
  end
  local t = text_of(self, n)
  self:w("if find(%s, %s, 1, true) then error('delimiter', 0) end", t, quote(n.delim))
  return pieces.text(pieces.text(last, t), quote(n.delim), #n.delim)
end

function Encoder:on_word(n, last)
  local t
  if n.num then
    t = digits_of(self, n)
    self:w("%s = %s .. ''", t, t)
  else
    t = self:as_variable("v", ("token(%s)"):format(text_of(self, n)))
  end
  return pieces.text(spaced(self, last), t)
end

function Encoder:on_headers(n, last)
  local w = self:as_variable("w", ("write_headers(%s)"):format(self:field(n.name)))
  return pieces.text(last, w)
end

--- ", m.a, m.b": the values of fields that a function uses.
function Encoder:uses(names)
  local list = {}
  for i, name in ipairs(names or {}) do list[i] = ", " .. self:lookup(name) end
  return table.concat(list)
end

function Encoder:on_custom(n, last)
  local at, context = "nil", "nil"
  if n.def.offset then
    if not self.base then
      node.complain(n, "%s: %s needs its place, which is not known here", self.message.name,
        node.title(n))
    end
    at, context = ("%s + %s"):format(self.base, pieces.length(last, self.frame)), "context"
  end
  local w = self:as_variable("w", ("%s(%s, %s, %s%s)"):format(self:outer(n.def.encode),
    self:field(n.name), at, context, self:uses(n.def.uses)))
  self:w("if type(%s) ~= 'string' then error('custom', 0) end", w)
  return pieces.text(last, w)
end

return Encoder
