-- SPDX-License-Identifier: MIT
--
-- Nodes: a declaration is a tree of them. A node is a type, a field or a structure. Calling one
-- returns a copy with one more property, in the order in which an RFC's table has them: a name,
-- then values or a constant.
--
--   u8            a type                          u8 "level"     a field of that type
--   u8(5)         a constant                      u8 "kind" { ping = 1, pong = 2 }
--   list(u8)      a structure without its body    list(u8) "codes" (u16)
--
-- Invariant: a node is never changed once a script has it; each call makes another one. So types
-- and groups of fields can be shared by any number of messages.

local core = require "lariat.core"

local node = {}

---@class lariat.wire.Node
---@field kind string
---@field line string where in the script it was made
---@field name? string
---@field const? integer|string the only value allowed
---@field enum? table<string, integer|string> names of values
---@field rev? table<integer|string, string> values to names
---@field default? any written if the table has no value
local Node = { __name = "lariat.wire field" }
Node.__index = Node

---@class lariat.wire.Message
local Message = { __name = "lariat.wire message" }
Message.__index = Message
node.Message = Message

--- The script's line that is being run, to be named by errors.
function node.place()
  return core.where() or "?"
end

---@return lariat.wire.Node
function node.new(kind, t)
  t.kind, t.line = kind, node.place()
  return setmetatable(t, Node)
end

--- A copy of a node, with one entry more.
---@return lariat.wire.Node
function node.with(n, key, value)
  local copy = {}
  for k, v in pairs(n) do copy[k] = v end
  if key then
    copy[key] = value
    copy.line = node.place()
  end
  return setmetatable(copy, Node)
end

function node.is(x)
  return getmetatable(x) == Node
end

function node.is_message(x)
  return getmetatable(x) == Message
end

--- Raises an error that names the line of the script where the node was made.
function node.complain(n, message, ...)
  error(("%s: %s"):format(n.line or node.place(), message:format(...)), 0)
end

--- Raises an error that names the line that is being run.
function node.refuse(message, ...)
  error(("%s: %s"):format(node.place(), message:format(...)), 0)
end

--- A string as a script would write it, on one line.
function node.quote(s)
  return (("%q"):format(s):gsub("\\\n", "\\n"):gsub("\\13", "\\r"))
end

--- The name of a node in error messages.
function node.title(n)
  return n.type or n.kind
end

-- Calls ------------------------------------------------------------------------------------------

local ENUMERABLE = { int = true, bits = true, bytes = true, varint = true, quicint = true,
  upto = true, word = true, str = true, rest = true }
local CONSTANT = { int = true, bits = true, bytes = true }

local function with_values(n, values)
  if not ENUMERABLE[n.kind] then
    node.refuse("%s '%s' cannot have named values", node.title(n), n.name or "?")
  end
  local copy = node.with(n, "enum", {})
  copy.rev = {}
  for name, value in pairs(values) do
    if name == "default" then
      copy.default = value
    elseif type(name) ~= "string" then
      node.refuse("%s '%s': names of values expected, got %s", node.title(n), n.name or "?",
        tostring(name))
    elseif copy.rev[value] then
      node.refuse("%s '%s': both %s and %s are %s", node.title(n), n.name or "?",
        copy.rev[value], name, tostring(value))
    else
      copy.enum[name], copy.rev[value] = value, name
    end
  end
  return copy
end

local function fits(n, value)
  if n.kind == "bytes" then return type(value) == "string" and #value == n.size end
  if math.type(value) ~= "integer" then return false end
  if n.kind == "bits" then return n.w == 64 or value >> n.w == 0 end
  return n.size == 8 or value >= n.min and value <= n.max
end

local function with_constant(n, value)
  if not CONSTANT[n.kind] or n.bool then
    node.refuse("%s '%s': a constant is a number of fixed size, or bytes", node.title(n),
      n.name or "?")
  elseif not fits(n, value) then
    node.refuse("%s '%s': the constant %s does not fit", node.title(n), n.name or "?",
      tostring(value))
  end
  return node.with(n, "const", value)
end

local function named(n, name)
  if name == "" then node.refuse("%s: a field's name is empty", node.title(n)) end
  return node.with(n, "name", name)
end

local function call_list(n, value)
  if type(value) == "string" and not n.name then return named(n, value) end
  if not n.name then node.refuse "list: a name expected before the items" end
  return node.with(n, "of", value)
end

function Node.__call(n, value)
  if n.kind == "list" then return call_list(n, value) end
  if type(value) == "string" and not n.name then return named(n, value) end
  if n.kind == "upto" and type(value) == "table" and not n.name and
      (value[1] ~= nil or next(value) == nil) then
    return node.new("scope", { delim = n.delim, fields = value })
  end
  if type(value) == "table" then return with_values(n, value) end
  if value == nil then
    node.refuse("%s '%s': a name, a constant or named values expected, got nil", node.title(n),
      n.name or "?")
  end
  return with_constant(n, value)
end

--- A message where a field is expected: a field that is a whole message.
function Message.__call(message, name)
  if type(name) ~= "string" then
    node.refuse("message %s: a field's name expected", message.name)
  end
  return node.new("ref", { msg = message, name = name })
end

--- Calls f with each node of a sequence and of what lies in it.
function node.walk(seq, f)
  for _, n in ipairs(seq) do
    f(n)
    if n.kind == "group" then
      for _, bits in ipairs(n) do f(bits) end
    end
    if n.fields then node.walk(n.fields, f) end
    if n.item then node.walk(n.item, f) end
    if n.cases then
      for _, key in ipairs(n.keys) do node.walk(n.cases[key], f) end
    end
  end
end

local function add_fields(seq, found)
  for _, n in ipairs(seq) do
    if n.kind == "group" then
      for _, bits in ipairs(n) do found[#found + 1] = bits.name and bits or nil end
    elseif n.kind == "record" or n.kind == "list" then
      found[#found + 1] = n
    elseif n.cases then
      for _, key in ipairs(n.keys) do add_fields(n.cases[key], found) end
    elseif n.fields then
      add_fields(n.fields, found)
    else
      found[#found + 1] = n.name and n or nil
    end
  end
  return found
end

--- The fields with names that lie in one table: not those in its records and lists.
---@return lariat.wire.Node[]
function node.fields_of(seq)
  return add_fields(seq, {})
end

--- The name of the first field that a table has of a sequence: is it there, all of them are.
function node.first_name(seq)
  for _, n in ipairs(add_fields(seq, {})) do
    if not n.derived and n.const == nil then return n.name end
  end
end

--- How much code a sequence makes from its i-th node on, roughly, if all that follows a switch is
--- written into each of its branches.
function node.count(seq, i)
  local size = 0
  for j = #seq, i, -1 do
    local n = seq[j]
    if n.cases then
      local all = 1
      for _, key in ipairs(n.keys) do all = all + node.count(n.cases[key], 1) + size end
      size = math.min(all, 1 << 30)
    else
      size = size + 1 + (n.fields and node.count(n.fields, 1) or n.item and 2 or 0)
    end
  end
  return size
end

--- Does the body of a scope take all that is there?
function node.takes_all(seq)
  local last = seq[#seq]
  if not last then return false end
  return last.kind == "rest" or last.kind == "through" or last.kind == "list" and last.len == "rest"
end

return node
