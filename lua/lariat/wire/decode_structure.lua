-- SPDX-License-Identifier: MIT
--
-- Decoding structures: switch, when, optional, record, list, and messages in messages.
--
-- If little follows a switch, it is written into each of its branches, so that each branch ends in
-- a table constructor of its own fields, which is several times as fast as filling a table.

local Decoder = require "lariat.wire.decoder"
local measure = require "lariat.wire.measure"
local node = require "lariat.wire.node"
local registry = require "lariat.wire.registry"
local Source = require "lariat.wire.source"
local literal = Source.literal

local MOST_ITEMS = 1 << 20 -- of a list that says nothing of its limit
local MOST_COPIES = 40     -- nodes that a switch may write more than once

-- Branches ---------------------------------------------------------------------------------------

local function is_light(self, n, nodes, i, weight)
  return not self.roomy and (node.count(nodes, i + 1) + weight) * #n.keys <= MOST_COPIES
end

-- A branch that goes on to the end by itself.
local function to_the_end(self, fields, saved, nodes, i, after, weight)
  local scopes = self:scopes()
  self.environment = Decoder.fork(saved)
  self:sequence(fields, 1, function()
    local popped = table.remove(self.path)
    self:sequence(nodes, i + 1, after, weight)
    table.insert(self.path, popped)
  end, node.count(nodes, i + 1) + weight)
  self.environment = saved
  Decoder.restore_scopes(scopes)
end

function Decoder:on_switch(n, _, nodes, i, after, weight)
  local v, light, saved = self:variable(n.on), is_light(self, n, nodes, i, weight), self.environment
  if not light then
    local all = {}
    for k, key in ipairs(n.keys) do all[k] = n.cases[key] end
    self:declare(all)
  end
  for k, key in ipairs(n.keys) do
    if key == "default" then
      self:w(k == 1 and "do" or "else")
    else
      self:w("%s %s == %s then", k == 1 and "if" or "elseif", v, literal(key))
    end
    self:deeper(tostring(key), function()
      if light then
        to_the_end(self, n.cases[key], saved, nodes, i, after, weight)
      else
        self:block(n.cases[key])
      end
    end)
  end
  if n.keys[1] == nil then self:w "do" end
  if n.cases.default then
    self:w "end"
  else
    self:w("%s %s end", n.keys[1] and "else" or "",
      self:fail(nil, ("%s .. tostring(%s)"):format(
        Source.quote(("no case for %s "):format(n.on)), v)))
  end
  return light and n.keys[1] ~= nil
end

local function condition(self, n)
  local v, sel = self:variable(n.on), n.sel
  if n.value ~= nil then return ("%s == %s"):format(v, literal(n.value)) end
  if sel.bool then return v end
  local zero = sel.rev and sel.rev[0]
  local there = sel.branch == n.branch and "" or v .. " and "
  return ("%s%s ~= %s"):format(there, v, zero and literal(zero) or "0")
end

function Decoder:on_when(n)
  self:declare { n.fields }
  self:w("if %s then", condition(self, n))
  self:block(n.fields)
  self:w "end"
end

--- What is there if anything is left of the scope.
function Decoder:on_optional(n, _, nodes, i, after, weight)
  local first = n.fields[1]
  if first and first.kind == "word" then return self:on_word(n, nil, nodes, i, after, weight) end
  if self:waits() then
    node.complain(n, "%s: 'optional' needs a scope: a stream does not say whether more comes",
      self.message.name)
  end
  self:declare { n.fields }
  self:w("if p <= %s then", self.scope.e)
  self:block(n.fields)
  self:w "end"
end

-- Tables -----------------------------------------------------------------------------------------

function Decoder:on_record(n)
  local environment = self.environment
  self:declare { { n } }
  local v = environment.variable[n.name]
  self:w "do"
  self.environment = Decoder.new_environment(environment)
  self:deeper(n.name, function()
    self:sequence(n.fields, 1, function() self:w("%s = %s", v, self:constructor()) end, 1)
  end)
  self.environment = environment
  self:w "end"
end

-- A type that looks back keeps all of its message, and a stream does not bound that.
local function check_stream(self, n)
  if not self:waits() then return end
  if n.len == "rest" then
    node.complain(n, "%s: list '%s' has no end in a stream: put a size around it",
      self.message.name, n.name)
  end
  node.walk(n.item, function(f)
    if f.def and f.def.offset then
      node.complain(f, "%s: %s in a list looks back into its message: put a size around that",
        self.message.name, node.title(f))
    end
  end)
end

-- The head of the loop over the items.
local function begin_items(self, n, v, count, done)
  if n.len == "rest" then
    self:w("do local %s = 0 while p <= %s do %s = %s + 1", count, self.scope.e, count, count)
  elseif n.len == "till" then
    self:let(done)
    self:w("do local %s = 0 repeat %s = %s + 1", count, count, count)
    self:w("if %s > %d then %s end", count, n.limit or MOST_ITEMS,
      self:fail(n, Source.quote(("more than %d items"):format(n.limit or MOST_ITEMS))))
  else
    self:bounded(n, v, MOST_ITEMS)
    self:w("do for %s = 1, %s do", count, v)
  end
end

local function put_item(self, n, x, count, done)
  local item = n.isrecord and self:constructor() or self:variable "_"
  self:w("%s[%s] = %s", x, count, item)
  if n.len ~= "till" then return end
  local decides = n.isrecord and self:variable(n.till.till) or Source.dot(item, n.till.till)
  self:w("%s = %s == %s", done, decides, literal(n.till.value))
end

function Decoder:on_list(n, length)
  check_stream(self, n)
  local v = n.len ~= "rest" and n.len ~= "till" and self:length(n, length) or nil
  local x = self:define(n, n.absent and "nil" or "{}")
  if n.absent then self:w("if %s ~= %d then %s = {}", v, n.absent, x) end
  self.count = self.count + 1
  local count, done = "i" .. self.count, n.len == "till" and self:new_variable "x"
  begin_items(self, n, v, count, done)
  local environment = self.environment
  self.environment = Decoder.new_environment(environment)
  table.insert(self.indexes, count)
  self:deeper(n.name, function()
    local endless = v == nil and measure.least(n.item) == 0
    local before = endless and self:as_variable("p", self:lasting "p")
    self:sequence(n.item, 1, function() put_item(self, n, x, count, done) end, 1)
    if endless then
      self:w("if %s == %s then %s end", self:lasting "p", before,
        self:fail(nil, "'an item of no bytes'"))
    end
  end, true)
  table.remove(self.indexes)
  self.environment = environment
  self:w(done and "until " .. done .. " end" or "end end")
  if n.absent then self:w "end" end
end

-- Messages in messages ----------------------------------------------------------------------------

function Decoder:on_ref(n)
  local message, waits = registry.target(n), self:waits()
  local mode = waits and "resumable" or self.mode == "traced" and "traced" or "plain"
  local f = ("%s.%s"):format(message == self.message and "self" or self:outer(message), mode)
  self:declare { { n } }
  local v = self.environment.variable[n.name]
  local from = self:as_variable("q", self:lasting "p")
  self:w("if d >= %d then %s end", message.depth,
    self:fail(n, Source.quote(("nested deeper than %d"):format(message.depth))))
  local function nested(err, e)
    return ("return nil, nest(%s, %s, %s, at, %s%s)"):format(err, self:info(n), e, from,
      self:arguments())
  end
  if waits then
    self:w("do local x %s, x, p, e, g = %s(s, p, e, d + 1, g, %s)", v, f, self.open_check or "nil")
    self:w("if not %s then %s end s = x end", v, nested("x", "nil"))
    return
  end
  if self.mode == "traced" then self:w("TR(%s, 'enter'%s)", self:info(n), self:arguments()) end
  self:w("do local t %s, t = %s(s, p, %s, p, d + 1) if not %s then", v, f, self.scope.e, v)
  if not self.scope.inner then
    self:w("if type(t) == 'number' then %s end", self:incomplete("t", n))
  end
  local moved = self.mode == "resumable" and "(type(t) == 'number' and t + g or t)" or "t"
  self:w("%s end p = t end", nested(moved, self:lasting(self.scope.e)))
  if self.mode == "traced" then self:w "TR(nil, 'leave')" end
end

return Decoder
