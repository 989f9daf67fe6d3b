-- SPDX-License-Identifier: MIT
--
-- Random messages, the same for a seed on every machine: for tests, and to see what a declaration
-- says. Sizes are small, with now and then the smallest and the largest values there are.

local Message = require "lariat.internal.wire.node".Message
local compiled = require "lariat.internal.wire.compiled"
local explain = require "lariat.internal.wire.explain"
local usage = require "lariat.internal.usage"
local node = require "lariat.internal.wire.node"
local registry = require "lariat.internal.wire.registry"

local ATTEMPTS = 50 -- to find values that fit together
local DEEP = 2      -- messages in each other, from where lists of them are empty

--- A function r(n) -> 1 to n, xorshift.
local function generator(seed)
  local x = seed * 2654435769 + 88172645463325252 | 1
  return function(n)
    x = x ~ x << 13
    x = x ~ x >> 7
    x = x ~ x << 17
    return (x >> 33) % n + 1
  end
end

local function sorted(t)
  local keys = {}
  for key in pairs(t) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  return keys
end

local function letters(r, n)
  local t = {}
  for i = 1, n do t[i] = string.char(96 + r(26)) end
  return table.concat(t)
end

local function noise(r, n)
  local t = {}
  for i = 1, n do t[i] = string.char(r(256) - 1) end
  return table.concat(t)
end

local function integer(r, least, most)
  local case = r(4)
  if case == 1 then return ({ math.max(least, 0), math.min(most, 1), most, least })[r(4)] end
  local width = 1
  while width < 63 and most >> width > 0 do width = width + 1 end
  local v = (r(1 << 31) - 1 << 32 | r(1 << 31) - 1) & ((1 << r(width)) - 1)
  if r(2) == 1 and least < 0 then v = -v end
  return math.max(least, math.min(most, v))
end

-- Values -----------------------------------------------------------------------------------------

-- Bytes in a scope that ends at a delimiter are letters only.
local function bytes(state, n)
  local r = state.r
  return (state.text and letters or r(2) == 1 and letters or noise)(r, n)
end

local function most_of(n, otherwise)
  local len = n.lens and n.lens[1] or node.is(n.len) and n.len
  local most = len and len.max or otherwise
  return most < otherwise and most or otherwise
end

local VALUES = {
  bits = function(state, n)
    if n.w == 64 then return integer(state.r, math.mininteger, math.maxinteger) end
    return integer(state.r, 0, n.max)
  end,
  int = function(state, n) return integer(state.r, n.min, n.max) end,
  float = function(state) return (state.r(2000) - 1000) / 8 end,
  varint = function(state, n) return integer(state.r, 0, n.max or math.maxinteger) end,
  quicint = function(state, n) return integer(state.r, 0, n.max) end,
  bytes = function(state, n) return bytes(state, n.size) end,
  word = function(state) return letters(state.r, state.r(8)) end,
  upto = function(state, n)
    return (letters(state.r, state.r(12) - 1):gsub(n.delim:gsub("%p", "%%%0"), "_"))
  end,
  str = function(state, n)
    local case = state.r(12)
    local size = case == 1 and 0 or case == 2 and state.r(200) or state.r(16)
    return bytes(state, math.min(size, most_of(n, 200)))
  end,
  rest = function(state) return bytes(state, state.r(20) - 1) end,
  headers = function(state)
    local t, r = {}, state.r
    for i = 1, r(4) - 1 do
      local name, value = letters(r, r(6)), letters(r, r(9))
      t[i] = { name, value }
      t[name] = t[name] and t[name] .. ", " .. value or value
    end
    return t
  end,
  custom = function(state, n)
    if not n.def.random then node.complain(n, "%s has no function random", node.title(n)) end
    return n.def.random(state.r)
  end,
}

-- One for which the switch that it decides has a case, mostly.
local function deciding(state, n)
  local keys, r = n.switches.keys, state.r
  if n.switches.cases.default and n.enum and r(4) == 1 then
    local names = sorted(n.enum)
    return names[r(#names)]
  end
  local count = keys[#keys] == "default" and #keys - 1 or #keys
  if count > 0 then return keys[r(count)] end
end

local function value(state, n)
  if n.switches then
    local v = deciding(state, n)
    if v ~= nil then return v end
  end
  if n.gen then return n.gen(state.r) end
  if n.enum and next(n.enum) then
    local names = sorted(n.enum)
    return names[state.r(#names)]
  end
  if n.bool then return state.r(2) == 1 end
  if n.num then return integer(state.r, -(1 << 40), 1 << 40) end
  return VALUES[n.kind](state, n)
end

-- Structures -------------------------------------------------------------------------------------

local fill

local function look(state, name)
  for i = #state.tables, 1, -1 do
    local v = state.tables[i][name]
    if v ~= nil then return v end
  end
end

local function in_table(state, seq)
  local t = {}
  table.insert(state.tables, t)
  fill(state, seq)
  table.remove(state.tables)
  return t
end

local function holds(state, n)
  local v = look(state, n.on)
  if n.value ~= nil then return v == n.value end
  return v and v ~= 0 and not (n.sel.rev and v == n.sel.rev[0])
end

local function item(state, n)
  local t = in_table(state, n.item)
  if n.isrecord then return t end
  return t._
end

local function items(state, n)
  local r = state.r
  local count = math.type(n.len) == "integer" and n.len or math.min(r(4) - 1, most_of(n, 200))
  if state.depth > DEEP and math.type(n.len) ~= "integer" then count = 0 end
  local list = {}
  for i = 1, n.till and count + 1 or count do
    repeat
      list[i] = item(state, n)
    until not n.till or (list[i][n.till.till] == n.till.value) == (i == count + 1)
  end
  return list
end

-- The body of a scope whose length is in units: its last field makes up for it.
local function in_units(state, n)
  fill(state, n.fields)
  local last, fixed = n.fields[#n.fields], 0
  if last.kind ~= "rest" then return end
  for _, f in ipairs(n.fields) do fixed = fixed + (f.size or 0) end
  local room = math.min(n.lens and n.lens[1].max * n.unit or 40, 200) - fixed
  local size = (state.r(math.max(room, 0) // n.unit + 1) - 1) * n.unit + -fixed % n.unit
  state.tables[#state.tables][last.name] = noise(state.r, size)
end

local FILL = {
  group = function(state, n)
    for _, f in ipairs(n) do
      if f.name and not f.derived then
        state.tables[#state.tables][f.name] = f.const or value(state, f)
      end
    end
  end,
  switch = function(state, n)
    local v = look(state, n.on)
    if v == nil then v = n.sel.default end
    if v == nil and n.sel.const then v = n.sel.const end
    local fields = n.cases[v] or n.cases.default
    if fields then fill(state, fields) end
  end,
  when = function(state, n) if holds(state, n) then fill(state, n.fields) end end,
  optional = function(state, n) if state.r(2) == 1 then fill(state, n.fields) end end,
  record = function(state, n)
    local t = in_table(state, n.fields)
    state.tables[#state.tables][n.name] = t
  end,
  list = function(state, n)
    if n.absent and state.r(6) == 1 then return end
    local list = items(state, n)
    state.tables[#state.tables][n.name] = list
  end,
  ref = function(state, n)
    local tables, text = state.tables, state.text
    local t = {}
    state.tables, state.text, state.depth = { t }, false, state.depth + 1
    fill(state, registry.target(n).seq)
    state.tables, state.text, state.depth = tables, text, state.depth - 1
    tables[#tables][n.name] = t
  end,
  scope = function(state, n)
    local text = state.text
    state.text = true
    fill(state, n.fields)
    state.text = text
  end,
}

function fill(state, seq)
  for _, n in ipairs(seq) do
    local t = state.tables[#state.tables]
    if FILL[n.kind] then
      FILL[n.kind](state, n)
    elseif n.unit then
      in_units(state, n)
    elseif n.fields then
      fill(state, n.fields)
    elseif n.name and not n.derived and not (n.absent and state.r(6) == 1) then
      t[n.name] = n.const or value(state, n)
    end
  end
end

--- A random message, as encode takes it and decode gives it.
---@param seed integer|fun(n: integer): integer
---@return table
function Message:random(seed)
  usage.check_self(self, Message, "random")
  if math.type(seed) ~= "integer" and not usage.callable(seed) then
    usage.type(1, "random", "integer", seed, seed == nil)
  end
  local r = math.type(seed) == "integer" and generator(seed) or seed
  local encoder, why, last = compiled(self, "encoder"), nil, nil
  for _ = 1, ATTEMPTS do
    local t = {}
    fill({ r = r, tables = { t }, depth = 0 }, self.seq)
    local ok, message = pcall(encoder, t, 0)
    if ok then return t end
    why, last = message, t
  end
  usage.error("no random message: %s", explain(self, last, why))
end

return generator
