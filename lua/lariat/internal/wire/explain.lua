-- SPDX-License-Identifier: MIT
--
-- The reason why a table could not be encoded: the first field, in the order of the message, whose
-- value is missing or does not fit. Encoders raise an error without it; this walks the tree again.

local node = require "lariat.internal.wire.node"
local registry = require "lariat.internal.wire.registry"

local function shown(v)
  if type(v) ~= "string" then return tostring(v) end
  return #v > 40 and ("%q.."):format(v:sub(1, 40)) or ("%q"):format(v)
end

-- Numbers ----------------------------------------------------------------------------------------

local function wrong_integer(n, v)
  local i = type(v) == "number" and math.tointeger(v)
  if not i then return "integer expected, got %s", shown(v) end
  if n.kind == "bits" and not n.wide then
    if n.w < 64 and i >> n.w ~= 0 then return "%d does not fit %d bits", i, n.w end
  elseif n.min and n.size ~= 8 and (i < n.min or i > n.max) then
    return "%d is out of the range of %s", i, node.title(n)
  end
end

-- Text -------------------------------------------------------------------------------------------

local function wrong_text(n, v)
  if type(v) ~= "string" then return "string expected, got %s", type(v) end
  if n.kind == "bytes" and #v ~= n.size then return "%d bytes expected, got %d", n.size, #v end
  local length = n.lens and n.lens[1] or node.is(n.len) and n.len
  if length and length.max and #v > length.max then
    return "%d bytes do not fit a length of %s", #v, node.title(length)
  elseif n.delim and v:find(n.delim, 1, true) then
    return "%s has its delimiter in it", shown(v)
  elseif n.kind == "word" and not v:find "^[^ \r\n]+$" then
    return "%s is not a word", shown(v)
  end
end

local INTEGERS = { int = true, bits = true, varint = true, quicint = true }

-- What is wrong with a value, to be formatted; or nil.
local function wrong_value(n, v)
  if n.derived or n.const ~= nil or n.skip or n.kind == "bits" and v == nil then return end
  if v == nil then
    if n.default == nil and not n.absent then return "no value" end
    return
  end
  if n.bool then
    if type(v) ~= "boolean" then return "boolean expected, got %s", type(v) end
    return
  end
  if n.enum and next(n.enum) then
    if n.enum[v] ~= nil then return end
    if type(v) == "string" and n.kind ~= "bytes" and INTEGERS[n.kind] then
      return "there is no value %s", shown(v)
    end
  end
  if n.from then
    local ok, raw = pcall(n.from, v)
    if not ok or raw == nil then return "%s makes no sense as %s", shown(v), node.title(n) end
    v = raw
  end
  if n.kind == "float" then
    if type(v) ~= "number" then return "number expected, got %s", type(v) end
    return
  end
  if n.kind == "custom" then return end
  if n.kind == "headers" then
    if type(v) ~= "table" then return "table expected, got %s", type(v) end
    return
  end
  if INTEGERS[n.kind] or n.num then return wrong_integer(n, v) end
  return wrong_text(n, v)
end

-- Structures -------------------------------------------------------------------------------------

local visit

-- The first one found is kept.
local function say(state, path, message, ...)
  if message and not state.found then state.found = path .. ": " .. message:format(...) end
end

local function look(state, name)
  for i = #state.tables, 1, -1 do
    local v = state.tables[i][name]
    if v ~= nil then return v end
  end
end

local function deciding(state, n)
  local sel, v = n.sel, look(state, n.on)
  if v == nil then v = sel.const end
  if v == nil then v = sel.default end
  if v == nil and sel.kind == "bits" then v = not sel.bool and 0 end
  return sel.rev and sel.rev[v] or v
end

local function holds(state, n)
  local v = deciding(state, n)
  if n.value ~= nil then return v == n.value end
  if n.sel.presence and look(state, n.on) == nil then
    local first = node.first_name(n.fields)
    return first and look(state, first) ~= nil
  end
  return v and v ~= 0 and not (n.sel.rev and v == n.sel.rev[0])
end

local function in_table(state, t, seq, path)
  if type(t) ~= "table" then return say(state, path, "table expected, got %s", type(t)) end
  table.insert(state.tables, t)
  visit(state, seq, path)
  table.remove(state.tables)
end

local function in_message(state, n, t, path)
  if type(t) ~= "table" then return say(state, path, "table expected, got %s", type(t)) end
  local tables = state.tables
  state.tables = {}
  state.depth = state.depth + 1
  if state.depth > registry.target(n).depth then
    say(state, path, "nested deeper than %d", registry.target(n).depth)
  else
    in_table(state, t, registry.target(n).seq, path)
  end
  state.tables, state.depth = tables, state.depth - 1
end

local function visit_list(state, n, path)
  local list = state.tables[#state.tables][n.name]
  if list == nil then
    if n.till or math.type(n.len) == "integer" then say(state, path, "no value") end
    return
  end
  if type(list) ~= "table" then return say(state, path, "list expected, got %s", type(list)) end
  for i, x in ipairs(list) do
    local at = ("%s[%d]"):format(path, i)
    local item = n.item[1]
    if n.isrecord then
      in_table(state, x, n.item, at)
    elseif item.kind == "ref" then
      in_message(state, item, x, at)
    else
      say(state, at, wrong_value(item, x))
    end
  end
  local count = n.lens and n.lens[1] or node.is(n.len) and n.len
  if count and count.max and #list > count.max then
    say(state, path, "%d items do not fit a count of %s", #list, node.title(count))
  elseif math.type(n.len) == "integer" and #list ~= n.len then
    say(state, path, "%d items expected, got %d", n.len, #list)
  elseif n.till then
    say(state, path, "the last item, and no other, must have %s = %s", n.till.till,
      shown(n.till.value))
  elseif count and not count.derived and count.name and look(state, count.name) ~= #list then
    say(state, path, "%d items, and '%s' is %s", #list, count.name, shown(look(state, count.name)))
  end
end

local function any_there(state, seq)
  for _, f in ipairs(node.fields_of(seq)) do
    if state.tables[#state.tables][f.name] ~= nil then return true end
  end
end

local VISIT = {
  group = function(state, n, path)
    for _, f in ipairs(n) do
      if f.name then
        say(state, path .. "." .. f.name, wrong_value(f, state.tables[#state.tables][f.name]))
      end
    end
  end,
  switch = function(state, n, path)
    local v = deciding(state, n)
    local fields = v ~= nil and n.cases[v] or n.cases.default
    if fields then
      visit(state, fields, path .. "." .. tostring(n.cases[v] and v or "default"))
    else
      say(state, path .. "." .. n.on, "no case for %s", shown(v))
    end
  end,
  when = function(state, n, path)
    if holds(state, n) then visit(state, n.fields, path) end
  end,
  optional = function(state, n, path)
    if any_there(state, n.fields) then visit(state, n.fields, path) end
  end,
  record = function(state, n, path)
    in_table(state, state.tables[#state.tables][n.name], n.fields, path .. "." .. n.name)
  end,
  list = function(state, n, path) visit_list(state, n, path .. "." .. n.name) end,
  ref = function(state, n, path)
    in_message(state, n, state.tables[#state.tables][n.name], path .. "." .. n.name)
  end,
}

local function scope_path(n, path)
  local name = n.lenname or not n.inside and type(n.len) == "string" and n.kind == "size" and n.len
  return name and path .. "." .. name or path
end

function visit(state, seq, path)
  for _, n in ipairs(seq) do
    if state.found then return end
    if VISIT[n.kind] then
      VISIT[n.kind](state, n, path)
    elseif n.fields then
      visit(state, n.fields, scope_path(n, path))
    elseif n.name then
      say(state, path .. "." .. n.name, wrong_value(n, state.tables[#state.tables][n.name]))
    end
  end
end

-- What an encoder raises where no single field is wrong.
local REASONS = {
  range = "a length or a number does not fit its field",
  unit = "a scope does not fill the unit of its length",
  ["no case"] = "no case for a value",
  length = "bytes are not as long as their length says",
  count = "a list has not as many items as its count says",
}

-- The names in a table that no field has: likely misspelt.
local function unknown_names(message, t)
  local known = {}
  for _, f in ipairs(node.fields_of(message.seq)) do known[f.name] = true end
  local names = {}
  for name in pairs(t) do
    if not known[name] then names[#names + 1] = "'" .. tostring(name) .. "'" end
  end
  table.sort(names)
  return names[1] and (" (there is no field %s)"):format(table.concat(names, ", ")) or ""
end

--- The error of encoding t, which raised `why`.
---@param message lariat.wire.Message
---@return string
return function(message, t, why)
  if type(t) ~= "table" then
    return ("%s: table expected, got %s"):format(message.name, t == nil and "nil" or type(t))
  end
  local state = { tables = {}, depth = 0 }
  in_table(state, t, message.seq, message.name)
  local text = state.found or ("%s: %s"):format(message.name, REASONS[why] or tostring(why))
  return text .. unknown_names(message, t)
end
