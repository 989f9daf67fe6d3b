-- SPDX-License-Identifier: MIT
--
-- From the tables of a declaration to a tree: lists of fields that were spliced in are opened,
-- neighbouring bits become groups of whole bytes, "a b" as a case becomes two cases.
--
-- Invariant: the tree is a copy. What a script holds of a declaration can be used again.

local node = require "lariat.internal.wire.node"

local tree = {}

local flatten

local function split_cases(n, message)
  local cases = {}
  local function add(key, fields)
    if cases[key] then
      node.complain(n, "%s: switch '%s' has two cases %s", message.name, n.on, tostring(key))
    end
    cases[key] = fields
  end
  for key, fields in pairs(n.cases) do
    if type(key) ~= "string" then
      add(key, flatten(fields, message))
    else -- each has nodes of its own, as each is resolved by itself
      for one in key:gmatch "%S+" do add(one, flatten(fields, message)) end
    end
  end
  n.cases = cases
end

-- What a list is of: the name of a message, a message, a type, or fields.
local function open_list(n, message)
  local of = n.of
  if of == nil or not n.name then
    node.complain(n, "%s: list '%s': a name and then a type, a message or fields expected",
      message.name, n.name or "?")
  end
  if type(of) == "string" then of = node.new("ref", { to = of, line = n.line }) end
  if node.is_message(of) then of = node.new("ref", { msg = of }) end
  if node.is(of) then
    local item = node.with(of)
    if item.name then
      node.complain(n, "%s: list '%s': its items need no name", message.name, n.name)
    end
    item.name, item.line = "_", n.line
    n.item = flatten({ item }, message)
  else
    n.item, n.isrecord = flatten(of, message), true
  end
end

local NEEDS_NAME = { int = false, bits = false, bytes = false, group = false, size = false,
  scope = false, switch = false, when = false, optional = false, check = false, through = false,
  align = false }

local function open(n, message)
  if n.kind == "switch" then
    split_cases(n, message)
  elseif n.kind == "list" then
    open_list(n, message)
  elseif n.fields then
    n.fields = flatten(n.fields, message)
  elseif NEEDS_NAME[n.kind] == nil and not n.name then
    node.complain(n, "%s: %s needs a name", message.name, node.title(n))
  end
  return n
end

local function as_node(x, message)
  if x == "" then node.refuse("%s: a constant of no bytes", message.name) end
  if type(x) == "string" then
    return node.new("bytes", { size = #x, const = x, type = node.quote(x) })
  end
  if node.is_message(x) then
    node.refuse("%s: the message %s needs a name as a field", message.name, x.name)
  end
  return node.is(x) and x or nil
end

-- Bits fill the group that is open, or begin one.
local function add_bits(seq, group, f, message)
  if not group then
    group = node.new("group", { w = 0, lsb = f.lsb, line = f.line })
    seq[#seq + 1] = group
  elseif group.lsb ~= f.lsb then
    node.complain(f, "%s: bits from the lowest up begin inside a byte", message.name)
  end
  f.off = group.w
  group[#group + 1] = f
  group.w = group.w + f.w
  if f.wide and group.w % 8 ~= 0 then
    node.complain(f, "%s: escaped bits are the last ones of a byte", message.name)
  end
  if group.w % 8 ~= 0 then return group end
  group.size = group.w // 8
  if group.lsb and group.size > 8 then
    node.complain(f, "%s: more than 64 neighbouring bits from the lowest up", message.name)
  end
  return nil
end

local SIZED = { int = true, group = true, bytes = true, str = true }

-- Whatever takes all that is left of a scope leaves nothing for a field that has bytes.
local function check_rests(seq, message)
  for i = 2, #seq do
    local before, n = seq[i - 1], seq[i]
    if SIZED[n.kind] and (before.kind == "rest" or before.len == "rest") then
      node.complain(n[1] or n, "%s: nothing is left for %s: '%s' before it takes the rest",
        message.name, n.name or n[1] and n[1].name or node.title(n), before.name)
    end
  end
end

--- The nodes of a table of fields.
---@param fields table
---@param message lariat.wire.Message
function flatten(fields, message)
  local seq, group = { source = fields }, nil
  local function add(x)
    if type(x) ~= "string" and type(x) ~= "table" then
      node.refuse("%s: a field expected, got %s", message.name, tostring(x))
    end
    local found = as_node(x, message)
    if not found then
      for _, inner in ipairs(x) do add(inner) end
      return
    end
    local n = node.with(found)
    if n.kind == "bits" then
      group = add_bits(seq, group, n, message)
    elseif group then
      node.complain(n, "%s: the %d bits before %s do not fill a byte", message.name, group.w % 8,
        n.name or node.title(n))
    else
      seq[#seq + 1] = open(n, message)
    end
  end
  for _, x in ipairs(fields) do add(x) end
  if group then
    node.complain(group[1], "%s: %d bits at the end do not fill a byte", message.name, group.w % 8)
  end
  check_rests(seq, message)
  return seq
end
tree.flatten = flatten

return tree
