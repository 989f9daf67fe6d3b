-- SPDX-License-Identifier: MIT
--
-- Compiles a message to a decoder: what all kinds of fields need. Four are made from one tree:
--
--   direct      f(_, s [, at]) -> value, next | nil, text | nil, text, lacking: the method decode
--   plain       f(s, p, e, at, d) -> value, next | nil, Err | nil, position lacking, info
--   traced      the same, and tells TR of each field: for dumps
--   resumable   f(s, p, e, d, g, check) -> value, s, p, e, g | nil, Err; in a coroutine, which
--               yields how many bytes it lacks and is resumed with some
--
-- s[p..e] are the bytes at hand, `at` is where the message began, d how deeply it is nested. A
-- resumable decoder drops bytes that it has read, so its positions move: g is how many it has
-- dropped, and a position that must stay valid is kept as p + g.
--
-- Invariant: self.scope is the innermost scope, and .e the variable of its last position. In a
-- scope that is `inner` all bytes are at hand, because they were waited for when its length was
-- read; so a field that does not fit is an error, and nothing in it waits.

local node = require "lariat.internal.wire.node"
local Source = require "lariat.internal.wire.source"

---@class lariat.wire.Decoder: lariat.wire.Source
local Decoder = setmetatable({}, { __index = Source })
Decoder.__index = Decoder

local quote, literal = Source.quote, Source.literal

--- The expression of a position that stays valid: p + g.
function Decoder:lasting(p)
  return self.mode == "resumable" and p .. " + g" or p
end

--- The statement that ends the decode with an error at p; why: an expression.
function Decoder:fail(n, why, p)
  return ("return nil, bad(%s, %s, at, %s%s)"):format(self:info(n), self:lasting(p or "p"), why,
    self:arguments())
end

--- The statement that ends the decode because the string must reach up to a position.
function Decoder:incomplete(position, n, what)
  local form = self.mode == "direct" and "return lacking(s, %s, %s)" or "return nil, %s, %s"
  return form:format(position, self:info(n, what))
end

--- Does it wait here for bytes that are lacking?
function Decoder:waits()
  return self.mode == "resumable" and not self.scope.inner
end

--- The rest of the arguments of more() and more_upto().
function Decoder:waiting()
  return ("g, %s, %s"):format(self.open_check or "nil", tostring(self.message.looks_back or false))
end

--- k bytes from p on: an error, or a wait, if they are not there.
function Decoder:need(k, n, what)
  local e = self.scope.e
  local condition = math.type(k) ~= "integer" and ("p + %s - 1 > %s"):format(k, e) or
    k == 1 and ("p > %s"):format(e) or ("p + %d > %s"):format(k - 1, e)
  if self.scope.inner then
    self:w("if %s then return nil, cut(%s, %s, %s, %s, at%s) end", condition, self:info(n, what),
      self:lasting "p", self:lasting(e), k, self:arguments())
  elseif self.mode == "resumable" then
    self:w("if %s then s, p, e, g = more(s, p, %s, e, %s) end", condition, k, self:waiting())
  else
    self:w("if %s then %s end", condition, self:incomplete(("p + %s - 1"):format(k), n, what))
  end
end

--- The statement for an end that is not there: of text, or of a type of one's own.
function Decoder:lacking(n, what)
  local e = self.scope.e
  if self.scope.inner then
    return self:fail(n, quote(("no end of %s before that of the scope around it"):format(what)))
  end
  return self:incomplete(e .. " + 1", n, what)
end

-- Fields -----------------------------------------------------------------------------------------

--- The variables of one table: by name, in order, and those declared ahead of a branch.
local function new_environment(up)
  return { variable = {}, order = {}, listed = {}, ahead = {}, up = up }
end
Decoder.new_environment = new_environment

--- A copy, for a branch that goes on to the end by itself.
function Decoder.fork(environment)
  local copy = new_environment(environment.up)
  for _, part in ipairs { "variable", "listed", "ahead", "order" } do
    for key, value in pairs(environment[part]) do copy[part][key] = value end
  end
  return copy
end

--- The variable of a field that has been read; "nil" if it is not there.
function Decoder:variable(name)
  local environment = self.environment
  while environment do
    if environment.variable[name] then return environment.variable[name] end
    environment = environment.up
  end
  return "nil"
end

local function list_field(environment, n, v)
  environment.variable[n.name] = v
  if n.derived or environment.listed[n.name] then return end
  environment.listed[n.name] = true
  environment.order[#environment.order + 1] = { n.name, v }
end

--- Gives a field its variable and its value.
function Decoder:define(n, expression)
  local environment = self.environment
  local v = n.name and environment.ahead[n.name]
  if v then
    self:w("%s = %s", v, expression)
  else
    v = self:as_variable("f", expression)
  end
  if n.name then list_field(environment, n, v) end
  return v
end

--- The table of what has been read.
function Decoder:constructor()
  local parts = {}
  for i, entry in ipairs(self.environment.order) do
    parts[i] = Source.key(entry[1]) .. " = " .. entry[2]
  end
  return "{" .. table.concat(parts, ", ") .. "}"
end

--- Declares the variables of fields that only some branch will define.
function Decoder:declare(sequences)
  local environment = self.environment
  for _, seq in ipairs(sequences) do
    for _, n in ipairs(node.fields_of(seq)) do
      if not environment.ahead[n.name] and not environment.variable[n.name] then
        local v = self:as_variable("f")
        environment.ahead[n.name] = v
        list_field(environment, n, v)
      end
    end
  end
end

--- In a traced decoder: reports where a field is, and which of the bits it has.
function Decoder:trace_field(n, value, from, size, bit, width)
  if self.mode ~= "traced" then return end
  if not n.name then
    n = { name = ("(%s)"):format(node.title(n)), kind = n.kind, type = n.type, lsb = n.lsb }
  end
  self:w("TR(%s, %s, %s, %s, %s, %s%s)", self:info(n), from, size, value, bit or "nil",
    width or "nil", self:arguments())
end

local function check_constant(self, n, raw, from)
  if n.const == nil then return end
  local constant = literal(n.const)
  self:w("if %s ~= %s then %s end", raw, constant,
    self:fail(n, ("expected(%s, %s)"):format(constant, raw), from))
end

--- What was read becomes a field's value. `from`, `size`, `bit`, `width`: where it lies.
function Decoder:value(n, raw, from, size, bit, width)
  if n.bool then raw = raw .. " ~= 0" end
  if (n.const ~= nil or n.to or n.rev) and not Source.is_variable(raw) then
    raw = self:as_variable("r", raw)
  end
  check_constant(self, n, raw, from)
  local sum = n.derived and n.derived.sums and self.sums[n.derived]
  if sum then self:w("%s = %s", sum, self:lasting(from)) end
  if n.to then
    local shown = self:as_variable("r", ("%s(%s)"):format(self:outer(n.to), raw))
    self:w("if %s == nil then %s end", shown, self:fail(n, "'makes no sense'", from))
    raw = shown
  end
  if n.rev then raw = ("%s[%s] or %s"):format(self:outer(n.rev), raw, raw) end
  if not n.name then return self:trace_field(n, raw, from, size, bit, width) end
  local v = self:define(n, raw)
  if not n.wide then self:trace_field(n, v, from, size, bit, width) end
  if n.opens then self:known(n, v) end
  return v
end

-- Sequences --------------------------------------------------------------------------------------

local FIXED = { int = true, float = true, group = true, bytes = true }
local LONGEST_RUN = 32 -- fields, in the roomy way

local function is_wide(item)
  local n = item and item.n
  return n and n.kind == "group" and n[#n].wide or false
end

-- Does its length, a number of known size, come right before it?
local function has_length(n)
  return node.is(n.len) and n.len.kind == "int"
end

-- Fields of known size from the i-th on, and the length of what comes behind them.
local function collect(nodes, i, limit)
  local items = {}
  local function full() return #items >= limit or is_wide(items[#items]) end
  while nodes[i] and FIXED[nodes[i].kind] and not full() do
    items[#items + 1] = { n = nodes[i] }
    i = i + 1
  end
  local n = nodes[i]
  local length = n and has_length(n) and not full() and { n = n.len, length_of = n } or nil
  items[#items + 1] = length
  return items, i, length
end

--- Decodes nodes from the i-th on, then does what `after` writes. A node that ends in branches
--- writes all that follows into each; `weight` is how much `after` stands for.
function Decoder:sequence(nodes, i, after, weight)
  local limit = self.roomy and LONGEST_RUN or math.huge
  while true do
    local items, following, length = collect(nodes, i, limit)
    i = following
    if items[1] then
      self:run(items)
      if is_wide(items[#items]) then self:widen(items[#items].n) end
    end
    local n = nodes[i]
    if not n then return after() end
    if not FIXED[n.kind] and (length or not has_length(n)) then
      if self["on_" .. n.kind](self, n, length, nodes, i, after, weight) then return end
      i = i + 1
    end
  end
end

--- Decodes nodes of which nothing follows.
function Decoder:block(nodes)
  self:sequence(nodes, 1, function() end, 0)
end

-- Compiling --------------------------------------------------------------------------------------

local PARAMETERS = {
  plain = "s, p, e, at, d", traced = "s, p, e, at, d", resumable = "s, p, e, d, g, check",
  direct = "_, s, p",
}
local BEGINNINGS = {
  resumable = "local at = p + g",
  direct = "if p or type(s) ~= 'string' then check_decode(s, p) end p = p or 1 " ..
    "local at, e, d = p, #s, 0",
}
local ENDS = {
  plain = "do return %s, p end", traced = "do return %s, p end",
  resumable = "do return %s, s, p, e, g end", direct = "do return %s, p end",
}

--- Compiles a message to a decoder.
---@param message lariat.wire.Message
---@param mode "plain"|"traced"|"resumable"|"direct"
---@param roomy boolean
---@param trace? function what a traced decode calls
---@return function
function Decoder.compile(message, mode, roomy, trace)
  local self = Source.new(Decoder, message, mode, roomy)
  self.trace = trace
  self.scope = { e = "e" }
  self.environment = new_environment()
  self.sums = {}
  self.open_check = mode == "resumable" and "check" or nil
  self:w("local f function f(%s)", PARAMETERS[mode])
  if roomy then self:w "local V = {}" end
  self:w(BEGINNINGS[mode] or "")
  self:sequence(message.seq, 1, function()
    if mode == "direct" then
      self:w("if p - at > %d then return nil, too_long(self) end", message.limit)
    end
    self:w(ENDS[mode], self:constructor())
  end, 1)
  self:w "end"
  return self:build()
end

return Decoder
