-- SPDX-License-Identifier: MIT
--
-- Encoding structures: scopes and their lengths, checksums, switches, lists, messages in messages.

local Encoder = require "lariat.wire.encoder"
local node = require "lariat.wire.node"
local pieces = require "lariat.wire.pieces"
local registry = require "lariat.wire.registry"
local Source = require "lariat.wire.source"
local literal, quote = Source.literal, Source.quote

local MOST_COPIES = 40 -- nodes that a switch may write more than once

-- Scopes -----------------------------------------------------------------------------------------

-- The length is a field: its variable gets the value, and what waits for it is written.
local function set_length(self, n, length)
  local v = self:derived(n.lens[1])
  self:w("%s = %s", v, length)
  for _, field in ipairs(n.lens) do
    self.unknown[field] = nil
    if self.finish[field] then self.finish[field](v) end
  end
end

-- Checksums come after all lengths of what is around them.
local function run_deferred(self)
  for _, f in ipairs(self.deferred) do f() end
  self.deferred = nil
end

local function in_units(self, n, length)
  if not n.unit then return length end
  self:w("if (%s) %% %d ~= 0 then error('unit', 0) end", length, n.unit)
  return ("(%s) // %d"):format(length, n.unit)
end

function Encoder:on_size(n, last, nodes, i, after, weight)
  local own = node.is(n.len)
  local start = { prev = last, len = own and n.len.size or nil, mark = true }
  if self.base and own and not n.len.size then
    node.complain(n, "%s: a place in the message is not known behind a length of variable size",
      self.message.name)
  end
  local outermost, words = n.inside and not self.deferred, self.words
  if outermost then self.deferred = {} end
  self.words = 0
  self:sequence(n.fields, 1, start, function(body)
    local length, onto = in_units(self, n, pieces.length(body, start)), last
    if own then
      onto = self:put_number(last, n.len, length)
    else
      set_length(self, n, length)
    end
    if outermost then run_deferred(self) end
    local inner_words = self.words
    self.words = words
    self:sequence(nodes, i + 1, pieces.move(body, start, onto), after, weight)
    self.words = inner_words
    if outermost then self.deferred = {} end
  end, weight + node.count(nodes, i + 1))
  if outermost then self.deferred = nil end
  self.words = words
  return nil, true
end

function Encoder:on_scope(n, last, nodes, i, after, weight)
  local words = self.words
  self.words = 0
  self:sequence(n.fields, 1, last, function(body)
    local inner = self.words
    self.words = words
    self:sequence(nodes, i + 1, pieces.text(body, quote(n.delim), #n.delim), after, weight)
    self.words = inner
  end, weight + node.count(nodes, i + 1))
  self.words = words
  return nil, true
end

-- Checks -----------------------------------------------------------------------------------------

function Encoder:on_check(n, last, nodes, i, after, weight)
  local mark = { prev = last, mark = true }
  self:sequence(n.fields, 1, mark, function(body)
    local bytes = pieces.build(body, mark)
    local onto
    if n.sums then
      local v = self:derived(n.sums[1])
      local function sum()
        self:w("%s = 0 %s = %s(%s%s)", v, v, self:outer(n.fn), bytes, self:uses(n.uses))
        for _, field in ipairs(n.sums) do self.unknown[field] = nil end
      end
      for _, field in ipairs(n.sums) do self.unknown[field] = nil end
      if not self.deferred or not next(self.unknown) then
        sum()
      else -- once the lengths in it are known
        for _, field in ipairs(n.sums) do self:awaits(field) end
        table.insert(self.deferred, sum)
      end
      onto = pieces.move(body, mark, last)
    else
      self:check_known()
      local c = self:as_variable("w", bytes)
      onto = pieces.number(pieces.text(last, c), n.what,
        ("%s(%s%s)"):format(self:outer(n.fn), c, self:uses(n.uses)))
    end
    self:sequence(nodes, i + 1, onto, after, weight)
  end, weight + node.count(nodes, i + 1))
  return nil, true
end

function Encoder:on_through(n, last)
  local w, base, words = self:as_variable("w", "''"), self.base, self.words
  self.base, self.words = nil, 0
  local body = self:part(n.fields)
  self.base, self.words = base, words
  self:w("%s = %s(%s%s)", w, self:outer(n.def.encode), body, self:uses(n.def.uses))
  return pieces.text(last, w)
end

function Encoder:on_align(n, last)
  if not self.base then
    node.complain(n, "%s: align needs its place, which is not known here", self.message.name)
  end
  local w = self:as_variable("w", ("('\\0'):rep(-(%s + %s) %% %d)"):format(self.base,
    pieces.length(last, self.frame), n.n))
  return pieces.text(last, w)
end

-- Branches ---------------------------------------------------------------------------------------

-- The value that decides, as a name if it has one.
local function deciding(self, n)
  local sel = n.sel
  if sel.derived and (sel.derived.kind == "size" or sel.derived.kind == "check") then
    node.complain(n, "%s: %s '%s' depends on a length or checksum", self.message.name, n.kind, n.on)
  end
  local v = self:as_variable("v", sel.derived and self:derived(sel) or self:lookup(n.on))
  if sel.const ~= nil then self:w("%s = %s", v, literal(sel.const)) end
  if sel.default ~= nil then self:w("if %s == nil then %s = %s end", v, v, literal(sel.default)) end
  if sel.kind == "bits" and not sel.derived then
    self:w("if %s == nil then %s = %s end", v, v, sel.bool and "false" or "0")
  end
  if sel.rev then self:w("%s = %s[%s] or %s", v, self:outer(sel.rev), v, v) end
  return v
end

-- A branch that goes on to the end by itself.
local function to_the_end(self, fields, last, nodes, i, after, weight)
  local unknown, deferred = self.unknown, self.deferred
  self.unknown = {}
  for field in pairs(unknown) do self.unknown[field] = true end
  self.deferred = deferred and table.move(deferred, 1, #deferred, 1, {})
  self:in_branch(function()
    self:sequence(fields, 1, last, function(body)
      self:sequence(nodes, i + 1, body, after, weight)
    end, node.count(nodes, i + 1) + weight)
  end)
  self.unknown, self.deferred = unknown, deferred
end

function Encoder:on_switch(n, last, nodes, i, after, weight)
  local light = not self.roomy and
    (node.count(nodes, i + 1) + weight) * #n.keys <= MOST_COPIES and n.keys[1] ~= nil
  local v, words, most = deciding(self, n), self.words, self.words
  local w = not light and self:as_variable("w", "''")
  for k, key in ipairs(n.keys) do
    self.words = words
    if key == "default" then
      self:w(k == 1 and "do" or "else")
    else
      self:w("%s %s == %s then", k == 1 and "if" or "elseif", v, literal(key))
    end
    if light then
      to_the_end(self, n.cases[key], last, nodes, i, after, weight)
    else
      self:w("%s = %s", w, self:part(n.cases[key], self:start(last)))
    end
    most = math.max(most, self.words)
  end
  self.words = most
  if not n.keys[1] then self:w "if true then" end
  self:w(n.cases.default and "end" or "else error('no case', 0) end")
  if light then return nil, true end
  return pieces.text(last, w)
end

function Encoder:on_when(n, last)
  local sel, condition = n.sel
  if n.value ~= nil then
    condition = ("%s == %s"):format(deciding(self, n), literal(n.value))
  elseif sel.presence and not sel.derived then
    condition = self:as_variable("v", self:lookup(n.on))
    local first = node.first_name(n.fields)
    if first then
      self:w("if %s == nil then %s = %s ~= nil end", condition, condition, self:field(first))
    end
  else
    local v = deciding(self, n)
    local zero = sel.rev and sel.rev[0]
    condition = sel.bool and v or
      ("%s and %s ~= %s"):format(v, v, zero and literal(zero) or "0")
  end
  return pieces.text(last, self:part(n.fields, self:start(last), condition))
end

function Encoder:on_optional(n, last)
  local first = node.first_name(n.fields)
  if not first then node.complain(n, "%s: 'optional' has no field", self.message.name) end
  local condition = ("%s ~= nil"):format(self:field(first))
  return pieces.text(last, self:part(n.fields, self:start(last), condition))
end

-- Tables -----------------------------------------------------------------------------------------

function Encoder:on_record(n, last)
  local m, w = self:as_variable("m", self:field(n.name)), nil
  self:in_table(m, n.fields, function() w = self:part(n.fields, self:start(last)) end)
  return pieces.text(last, w)
end

-- The last item must be the one that ends the list, and no other may be.
local function check_till(self, n, v, x, i)
  if not n.till or n.item[1].kind == "ref" and not n.isrecord then return end
  local field
  for _, f in ipairs(node.fields_of(n.item)) do
    if f.name == n.till.till then field = f end
  end
  local is = ("%s == %s"):format(Source.dot(x, n.till.till), literal(n.till.value))
  if field and field.enum and field.enum[n.till.value] ~= nil then
    is = ("(%s or %s == %s)"):format(is, Source.dot(x, n.till.till),
      literal(field.enum[n.till.value]))
  end
  self:w("if (%s) ~= (%s == #%s) then error('till', 0) end", is, i, v)
end

-- The items' bytes, in the table t.
local function put_items(self, n, last, v, t)
  self.count = self.count + 1
  local i, x = "i" .. self.count, self:new_variable "m"
  local base, frame, item, words = self.base, self.frame, self.item, self.words
  if base then
    self.base = self:as_variable("o", ("%s + %s"):format(base, pieces.length(last, frame)))
  end
  self:w("if %s then for %s = 1, #%s do", v, i, v)
  self:let(x, ("%s[%s]"):format(v, i))
  check_till(self, n, v, x, i)
  self.frame, self.item, self.words = nil, x, 0
  self:in_table(x, n.item, function()
    self:w("%s[%s] = %s", t, i, self:part(n.item))
    if base then self:w("%s = %s + #%s[%s]", self.base, self.base, t, i) end
  end)
  self.base, self.frame, self.item, self.words = base, frame, item, words
  self:w "end end"
end

function Encoder:on_list(n, last)
  local v, t = self:as_variable("v", self:field(n.name)), self:as_variable("t", "{}")
  local len = n.len
  if node.is(len) then
    last = self:put_number(last, len, ("(%s and #%s or %d)"):format(v, v, n.absent or 0))
  elseif math.type(len) == "integer" then
    self:w("if #%s ~= %d then error('count', 0) end", v, len)
  elseif len == "till" then
    self:w("if not %s or #%s == 0 then error('till', 0) end", v, v)
  elseif len ~= "rest" and (n.lens[1].derived ~= n or n.lens[1].users[2]) then
    local field = n.lens[1]
    self:w("if (%s and #%s or %d) ~= %s then error('count', 0) end", v, v, n.absent or 0,
      field.derived and self:derived(field) or self:lookup(field.name))
  end
  put_items(self, n, last, v, t)
  return pieces.text(last, self:as_variable("w", ("concat(%s)"):format(t)))
end

--- Places are counted from the beginning of the message that they are in.
function Encoder:on_ref(n, last)
  local message = registry.target(n)
  self:w("if d >= %d then error('deep', 0) end", message.depth)
  local w = self:as_variable("w", ("%s.encoder(%s, d + 1)"):format(
    message == self.message and "self" or self:outer(message), self:field(n.name)))
  return pieces.text(last, w)
end

return Encoder
