-- SPDX-License-Identifier: MIT
--
-- Decoding scopes, and what depends on where they end: size, line { }, check, through, align, and
-- types of one's own.
--
-- A scope whose length is one of its own fields is `pending` until that has been read: then the
-- rest of it is waited for, and scopes between the two must lie within it.

local Decoder = require "lariat.wire.decoder"
local node = require "lariat.wire.node"
local Source = require "lariat.wire.source"

local LARGEST_CUSTOM = 4096 -- bytes of a type of one's own in a stream, unless it says more

--- Decodes the body of a scope and checks that it has been all of it; then what `finish` and
--- `follow` write, outside of it again.
function Decoder:in_scope(name, scope, fields, finish, follow, weight)
  local outer = self.scope
  scope.outer = outer
  self.scope = scope
  self:deeper(name, function()
    self:sequence(fields, 1, function()
      if not node.takes_all(fields) then
        self:w("if p ~= %s + 1 then %s end", scope.e,
          self:fail(nil, ("(%s - p + 1) .. ' bytes left over'"):format(scope.e)))
      end
      local popped = name and table.remove(self.path)
      self.scope = outer
      finish()
      follow()
      self.scope = scope
      if popped then table.insert(self.path, popped) end
    end, weight)
  end)
  self.scope = outer
end

local function nothing() end

-- Lengths in the scope itself ---------------------------------------------------------------------

--- The length of a scope around here has been read: it is v.
function Decoder:known(n, v)
  local scope, here, unit = n.opens, self.scope, n.derived.unit
  if unit then v = ("%s * %d"):format(v, unit) end
  local k = self:as_variable("k", ("%s - (%s - %s)"):format(v, self:lasting "p", scope.start))
  self:w("if %s < 0 or %s > %d then %s end", k, v, n.derived.limit or self.message.limit,
    self:fail(n, ("'length ' .. %s .. ' is impossible'"):format(v)))
  self.scope = scope.outer
  local before = self:waits() and self:as_variable("g", "g")
  self:need(k, n)
  self.scope = here
  self:w("%s = p + %s - 1", scope.variable, k)
  local inner = here
  while inner ~= scope do
    if inner.pending then
      inner.e, inner.inner = scope.variable, true
    elseif inner.inner then
      if before then self:w("%s = %s - (g - %s)", inner.e, inner.e, before) end
      self:w("if %s > %s then %s end", inner.e, scope.variable,
        self:fail(n, "'a scope reaches past the one around it'"))
    end
    inner = inner.outer
  end
  scope.e, scope.inner, scope.pending = scope.variable, true, false
end

local function own_length(self, n, follow, weight)
  local outer = self.scope
  local scope = { pending = true, e = outer.e, inner = outer.inner }
  scope.start = self:as_variable("p", self:lasting "p")
  scope.variable = self:as_variable "e"
  for _, field in ipairs(n.lens) do field.opens = scope end
  self:in_scope(nil, scope, n.fields, nothing, follow, weight)
end

-- The scopes around here as they are now; a branch may change them.
function Decoder:scopes()
  local saved, scope = {}, self.scope
  while scope do
    saved[#saved + 1] = { scope, scope.e, scope.inner, scope.pending }
    scope = scope.outer
  end
  return saved
end

function Decoder.restore_scopes(saved)
  for _, entry in ipairs(saved) do
    local scope = entry[1]
    scope.e, scope.inner, scope.pending = entry[2], entry[3], entry[4]
  end
end

-- Scopes -----------------------------------------------------------------------------------------

function Decoder:on_size(n, length, nodes, i, after, weight)
  local function follow() self:sequence(nodes, i + 1, after, weight) end
  local more = weight + node.count(nodes, i + 1)
  if n.inside then
    own_length(self, n, follow, more)
    return true
  end
  local v = self:length(n, length)
  self:bounded(n, v)
  local name = n.lenname or type(n.len) == "string" and n.len or nil
  if n.unit then v = ("%s * %d"):format(v, n.unit) end
  local cut = self.mode == "traced" and not self.scope.inner -- what is there of it is shown
  if not cut then self:need(v, { name = name, kind = "size" }) end
  local e = self:as_variable("e", ("p + %s - 1"):format(v))
  if cut then self:w("if %s > %s then %s = %s end", e, self.scope.e, e, self.scope.e) end
  self:in_scope(name, { e = e, inner = true }, n.fields, nothing, follow, more)
  return true
end

function Decoder:on_scope(n, _, nodes, i, after, weight)
  local q = self:find_end(n, n.delim)
  local e = self:as_variable("e", q .. " - 1")
  self:in_scope(nil, { e = e, inner = true, line = n.delim:find "^[\r\n]" ~= nil }, n.fields,
    function() self:w("p = %s + %d", e, #n.delim + 1) end,
    function() self:sequence(nodes, i + 1, after, weight) end,
    weight + node.count(nodes, i + 1))
  return true
end

-- Checks -----------------------------------------------------------------------------------------

-- Can bytes of the string be dropped while the fields from here on are decoded?
local function moves(self)
  if self.mode ~= "resumable" then return false end
  local scope = self.scope
  if not scope.inner then return true end
  while scope do
    if scope.pending then return true end
    scope = scope.outer
  end
  return false
end

--- ", a, b": the variables of fields that a function uses.
function Decoder:uses(names)
  local list = {}
  for i, name in ipairs(names or {}) do list[i] = ", " .. self:variable(name) end
  return table.concat(list)
end

-- The checksum is a field of the body; it counts as zero.
local function check_field(self, n, text, start, sum)
  local field = n.sums[1]
  local at = self:as_variable("q", ("%s and %s - %s"):format(sum, sum, start))
  local zeroed = ("sub(%s, 1, %s) .. %s .. sub(%s, %s + %d)"):format(text, at,
    Source.quote(("\0"):rep(field.size)), text, at, field.size + 1)
  local failure = ("return nil, bad(%s, %s, at, 'checksum does not match'%s)"):format(
    self:info(field), sum, self:arguments())
  self:w("if %s and %s(%s%s) ~= %s then %s end", at, self:outer(n.fn), zeroed, self:uses(n.uses),
    self:variable(n.what), failure)
end

-- It comes right behind the body.
local function check_behind(self, n, text)
  local field = { name = "checksum", kind = "int", type = n.what.type }
  self:need(n.what.size, field)
  local v = self:as_variable("n", ("unpack(%s, s, p)"):format(Source.quote(n.what.fmt)))
  self:w("if %s ~= %s(%s%s) then %s end", v, self:outer(n.fn), text, self:uses(n.uses),
    self:fail(field, "'checksum does not match'"))
  self:w("p = p + %d", n.what.size)
  self:trace_field(field, v, ("p - %d"):format(n.what.size), n.what.size)
end

function Decoder:on_check(n)
  local start, moving, outer = self:as_variable("p", self:lasting "p"), moves(self), self.open_check
  if moving then
    self.open_check = self:as_variable("c", ("{ skip = p - 1, up = %s }"):format(outer))
  end
  local sum = n.sums and self:as_variable "q"
  self.sums[n] = sum
  self:declare { n.fields }
  self:block(n.fields)
  local text = self:as_variable("t", moving and ("checked(%s, s, p)"):format(self.open_check) or
    ("sub(s, %s, p - 1)"):format(self.mode == "resumable" and start .. " - g" or start))
  self.open_check = outer
  if n.sums then check_field(self, n, text, start, sum) else check_behind(self, n, text) end
end

-- Encodings --------------------------------------------------------------------------------------

function Decoder:on_through(n)
  if self:waits() then
    node.complain(n, "%s: 'through' has no end in a stream: put a size around it",
      self.message.name)
  end
  self:declare { n.fields }
  local e = self.scope.e
  local text, why, last = self:new_variable "t", self:new_variable "t", self:new_variable "e"
  self:let(text .. ", " .. why, ("%s(sub(s, p, %s)%s)"):format(self:outer(n.def.decode), e,
    self:uses(n.def.uses)))
  self:w("if not %s then %s end", text, self:fail(n, ("tostring(%s)"):format(why)))
  local from, first = self:beginning(), n.fields[1]
  self:w("p = %s + 1", e)
  if first and not n.fields[2] and first.kind == "rest" then -- all of it, without another copy
    self:value(first, text, from or "p", from and "p - " .. from)
    return
  end
  self:let(last, "#" .. text)
  self:w("do local p, s, at%s = 1, %s, 1%s", self.mode == "resumable" and ", g" or "", text,
    self.mode == "resumable" and ", 0" or "")
  local scope, mode = self.scope, self.mode
  self.scope = { e = last, inner = true, outer = scope }
  if mode == "traced" then self.mode = "plain" end -- what lies in it has no place in the message
  self:block(n.fields)
  self:w("if p ~= %s + 1 then %s end", last, self:fail(nil, "'bytes left over'"))
  self:w "end"
  self.scope, self.mode = scope, mode
  if from and first and first.name then
    self:trace_field(first, self:variable(first.name), from, "p - " .. from)
  end
end

function Decoder:on_align(n)
  local at = self.mode == "resumable" and "p + g - at" or "p - at"
  local v = self:as_variable("n", ("-(%s) %% %d"):format(at, n.n))
  self:need(v, n)
  self:w("p = p + %s", v)
end

-- What a type of one's own says: (value, next), (nil, why), or (nil, how much is lacking).
local function call_custom(self, n)
  local at = "nil"
  if n.def.offset then at = self.mode == "resumable" and "at - g" or "at" end
  return ("%s(s, p, %s, %s%s)"):format(self:outer(n.def.decode), self.scope.e, at,
    self:uses(n.def.uses))
end

function Decoder:on_custom(n)
  local v, q = self:new_variable "v", self:new_variable "q"
  local limit = n.def.max or LARGEST_CUSTOM
  local call = call_custom(self, n)
  local too_long = self:fail(n, Source.quote(("no end within %d bytes"):format(limit)))
  self:let(v .. ", " .. q, call)
  if self:waits() then
    if n.def.offset then
      node.complain(n, "%s: %s looks back into its message: in a stream, put a size around that",
        self.message.name, node.title(n))
    end
    self:w("while %s == nil and type(%s) ~= 'string' do", v, q)
    self:w("if e - p + 1 >= %d then %s end", limit, too_long)
    self:w("s, p, e, g = more(s, p, e - p + 1 + (%s or 1), e, %s)", q, self:waiting())
    self:w("%s, %s = %s end", v, q, call)
  elseif self.scope.inner then
    self:w("if %s == nil and type(%s) ~= 'string' then %s end", v, q,
      self:lacking(n, node.title(n)))
  else
    self:w("if %s == nil and type(%s) ~= 'string' then", v, q)
    self:w("if e - p + 1 >= %d then %s end", limit, too_long)
    self:w("%s end", self:incomplete(("e + (%s or 1)"):format(q), n))
  end
  self:w("if %s == nil then %s end", v, self:fail(n, q))
  self:value(n, v, "p", ("%s - p"):format(q))
  self:w("p = %s", q)
end

return Decoder
