-- SPDX-License-Identifier: MIT
--
-- Names: which field a switch, a length or a checksum refers to. A field is visible to the nodes
-- that come after it in the same table, and to those inside of them; cases of one switch may have
-- fields of the same name. A field that serves as a length, a count or a checksum is derived: it is
-- computed, and is not in the script's table.
--
-- After this, in the nodes: `lens` (the fields that may be the length), `inside` (the length is in
-- the scope itself), `sel` (the field that decides), `keys` (of a switch, in order), `sums` (the
-- field of a checksum), `derived` (what a field is computed from), `users` (all that have it as a
-- length).

local node = require "lariat.internal.wire.node"

local names = {}

local resolve

local function look(scope, name)
  while scope do
    if scope.names[name] then return scope.names[name], scope end
    scope = scope.up
  end
end

local function need(state, n, name, what)
  local found, scope = look(state.scope, name)
  if not found then
    node.complain(n, "%s: %s names '%s', and there is no such field before it",
      state.message.name, what, name)
  end
  return found, scope
end

local function add(state, n)
  local scope = state.scope
  if not n.name or n.name == "_" then return end
  local known = scope.names[n.name]
  if known and not scope.alternative[n.name] then
    node.complain(n, "%s: there are two fields '%s', the other one at %s", state.message.name,
      n.name, known[1].line)
  end
  known = known or {}
  known[#known + 1] = n
  scope.names[n.name] = known
end

-- Lengths ----------------------------------------------------------------------------------------

local NUMERIC = { int = true, bits = true, varint = true, quicint = true }

local function check_number(state, n, field, what)
  if not (NUMERIC[field.kind] or field.num) or field.bool or field.enum or field.to then
    node.complain(n, "%s: %s names '%s', which is no plain integer", state.message.name, what,
      field.name)
  elseif field.const then
    node.complain(n, "%s: %s names '%s', which is a constant", state.message.name, what, field.name)
  end
end

local function use_length(state, n)
  local found, scope = need(state, n, n.len, n.kind)
  n.lens = found
  for _, field in ipairs(found) do
    check_number(state, n, field, n.kind)
    if scope == state.scope then
      field.derived = field.derived or n
      field.users = field.users or {}
      table.insert(field.users, n)
      if n.kind == "size" and #field.users > 1 or field.derived.kind == "size" and
        field.derived ~= n then
        node.complain(n, "%s: '%s' is the length of another scope already", state.message.name,
          n.len)
      end
    elseif n.kind == "size" then
      node.complain(n, "%s: the length '%s' of a scope lies outside of its table",
        state.message.name, n.len)
    end
  end
end

-- The length of a scope is one of its own fields, which has been resolved by now.
local function use_own_length(state, n)
  use_length(state, n)
  n.inside = true
  for _, field in ipairs(n.lens) do
    if field.kind ~= "int" and field.kind ~= "bits" or field.wide then
      node.complain(field, "%s: '%s' counts itself, so its size must be fixed", state.message.name,
        n.len)
    elseif field.branch ~= n.branch then
      node.complain(field, "%s: '%s' is the length of what is around it, and not always there",
        state.message.name, n.len)
    end
  end
end

local function use_sum(state, n)
  local found, scope = need(state, n, n.what, "check")
  n.sums = found
  for _, field in ipairs(found) do
    if field.kind ~= "int" or field.derived or scope ~= state.scope then
      node.complain(n, "%s: the checksum '%s' is no integer of fixed size here, or serves twice",
        state.message.name, n.what)
    end
    field.derived = n
  end
end

-- Conditions -------------------------------------------------------------------------------------

-- As the value is seen by scripts: its name, if it has one.
local function seen(field, value)
  return field.rev and field.rev[value] or value
end

local function check_value(state, n, field, value, what)
  local text = type(value) == "string"
  local fine = field.enum and (not text or field.enum[value] ~= nil) or
    not field.enum and (text == (not NUMERIC[field.kind] and not field.num) or field.to)
  if field.bool then fine = type(value) == "boolean" end
  if not fine then
    node.complain(n, "%s: %s '%s' has %s %s, which the field does not know", state.message.name,
      n.kind, n.on, what, tostring(value))
  end
end

local function case_keys(state, n)
  local sel, cases, keys = n.sel, {}, {}
  for key, fields in pairs(n.cases) do
    if key ~= "default" then
      check_value(state, n, sel, seen(sel, key), "a case")
      key = seen(sel, key)
    end
    if cases[key] then
      node.complain(n, "%s: switch '%s' has two cases %s", state.message.name, n.on, tostring(key))
    end
    cases[key] = fields
    keys[#keys + 1] = key
  end
  n.cases = cases
  local enum = sel.enum
  table.sort(keys, function(a, b)
    if (a == "default") ~= (b == "default") then return b == "default" end
    local x, y = enum and enum[a] or a, enum and enum[b] or b
    if math.type(x) and math.type(y) then return x < y end
    return tostring(x) < tostring(y)
  end)
  return keys
end

-- In another branch what is there depends on a value.
local function in_branch(state, f)
  local branch = state.branch
  state.branch = {}
  f()
  state.branch = branch
end

local function resolve_switch(state, n)
  local scope = state.scope
  local sel = need(state, n, n.on, "switch")
  n.sel = sel[1]
  for _, field in ipairs(sel) do field.switches = field.switches or n end
  n.keys = case_keys(state, n)
  local before, alternative, own = {}, scope.alternative, {}
  for name in pairs(scope.names) do before[name] = true end
  for _, key in ipairs(n.keys) do
    scope.alternative = setmetatable({}, { __index = function(_, name)
      return own[name] or alternative[name]
    end })
    in_branch(state, function() resolve(n.cases[key], state) end)
    for name in pairs(scope.names) do
      if not before[name] then own[name] = true end
    end
  end
  scope.alternative = alternative
end

local function resolve_when(state, n)
  n.sel = need(state, n, n.on, "when")[1]
  if n.value ~= nil then
    n.value = seen(n.sel, n.value)
    check_value(state, n, n.sel, n.value, "the value")
  elseif n.sel.w == 1 then
    n.sel.presence = n.fields
  end
  in_branch(state, function() resolve(n.fields, state) end)
end

-- Everything -------------------------------------------------------------------------------------

local function in_table(state, fields)
  local scope, branch = state.scope, state.branch
  state.scope = { names = {}, alternative = {}, up = scope }
  state.branch = {}
  resolve(fields, state)
  state.scope, state.branch = scope, branch
end

-- A list ends with an item of a certain value: of which field?
local function resolve_till(state, n)
  local item = n.item[1]
  if item.kind == "ref" then return end
  local found
  node.walk(n.item, function(f) if f.name == n.till.till then found = found or f end end)
  if not n.isrecord or not found then
    node.complain(n, "%s: list '%s' ends with a value of '%s', which its items do not have",
      state.message.name, n.name, n.till.till)
  end
  check_value(state, { kind = "till", on = n.till.till, line = n.line }, found,
    seen(found, n.till.value), "the value")
  n.till = { till = n.till.till, value = seen(found, n.till.value) }
end

local function resolve_fields(state, n)
  local own = n.kind == "size" and type(n.len) == "string" and not look(state.scope, n.len)
  if n.kind == "size" and type(n.len) == "string" and not own then use_length(state, n) end
  if n.kind == "optional" then
    in_branch(state, function() resolve(n.fields, state) end)
  else
    resolve(n.fields, state)
  end
  if own then use_own_length(state, n) end
  if n.kind == "check" and type(n.what) == "string" then use_sum(state, n) end
end

local function check_uses(state, n)
  for _, name in ipairs(n.uses or n.def and n.def.uses or {}) do
    need(state, n, name, node.title(n))
  end
end

local function resolve_one(state, n)
  n.branch = state.branch
  if n.kind == "group" then
    for _, bits in ipairs(n) do
      bits.branch = state.branch
      add(state, bits)
    end
    return
  end
  if type(n.len) == "string" and (n.kind == "str" or n.kind == "list" and n.len ~= "rest" and
      n.len ~= "till") then
    use_length(state, n)
  end
  if n.kind ~= "check" then check_uses(state, n) end
  if n.kind == "switch" then
    resolve_switch(state, n)
  elseif n.kind == "when" then
    resolve_when(state, n)
  elseif n.kind == "record" or n.kind == "list" then
    in_table(state, n.fields or n.item)
    if n.till then resolve_till(state, n) end
    add(state, n)
  elseif n.fields then
    resolve_fields(state, n)
    if n.kind == "check" then check_uses(state, n) end
  else
    add(state, n)
  end
end

function resolve(seq, state)
  for _, n in ipairs(seq) do resolve_one(state, n) end
end

--- Resolves the names of a message.
---@param message lariat.wire.Message
function names.resolve(message)
  resolve(message.seq, {
    message = message, branch = {},
    scope = { names = {}, alternative = {} },
  })
end

return names
