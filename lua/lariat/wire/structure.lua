-- SPDX-License-Identifier: MIT
--
-- Structures: what has fields in it. Each is curried: first what it depends on, then its body.

local misuse = require "lariat.misuse"
local node = require "lariat.wire.node"
local types = require "lariat.wire.types"
local new = node.new

local structure = {}

local function body(what, fields)
  if type(fields) ~= "table" or node.is(fields) then
    node.refuse("%s: a table of fields expected, got %s", what,
      node.is(fields) and "a field" or type(fields))
  end
  return fields
end

--- A scope of a length: its body ends there, and must fill it. The length is a type, which is read
--- on the spot; or names a field, before the scope or in it: then it counts itself.
---@param len lariat.wire.Node|string
---@param name? string|table of the scope, in paths and dumps
---@param options? {unit?: integer, limit?: integer} unit: bytes for each step of the length
function structure.size(len, name, options)
  types.check_length("size", len)
  if type(name) == "table" then name, options = nil, name end
  local o = misuse.check_options(2, "size", options or {}, { unit = "integer", limit = "integer" })
  if o.unit and o.unit < 1 then node.refuse "size: option 'unit': a number of bytes expected" end
  local n = new("size", { len = len, lenname = name, unit = o.unit, limit = o.limit })
  return function(fields)
        return node.with(n, "fields", body("size", fields))
  end
end

--- Fields that depend on the value of an earlier one.
function structure.switch(on)
  if type(on) ~= "string" then node.refuse "switch: the name of a field expected" end
  local n = new("switch", { on = on })
  return function(cases)
        body("switch", cases)
    for key, fields in pairs(cases) do
      body(("switch '%s', case %s"):format(on, tostring(key)), fields)
    end
    return node.with(n, "cases", cases)
  end
end

--- Fields that are there if an earlier one is not zero, or has a certain value.
function structure.when(on, value)
  if type(on) ~= "string" then node.refuse "when: the name of a field expected" end
  local n = new("when", { on = on, value = value })
  return function(fields)
        return node.with(n, "fields", body("when", fields))
  end
end

--- Fields that are there if anything is left of the scope.
function structure.optional(fields)
  return new("optional", { fields = body("optional", fields) })
end

local LIST_OPTIONS = { absent = "integer", limit = "integer" }

--- list(count) "name" (type), or { fields }. The count is a type, the name of a field, a number,
--- `rest` for as many as fill the scope, or till(field, value).
function structure.list(len, options)
  local o = misuse.check_options(2, "list", options or {}, LIST_OPTIONS)
  local n = new("list", { absent = o.absent, limit = o.limit })
  if node.is(len) and len.kind == "rest" then
    n.len = "rest"
  elseif type(len) == "table" and len.till then
    n.len, n.till = "till", len
  else
    if type(len) == "string" and (len == "rest" or len == "till") then
      node.refuse("list: a field cannot be called '%s'", len)
    end
    types.check_length("list", len)
    n.len = len
  end
  return n
end

--- A list ends with the item whose field has that value.
function structure.till(field, value)
  if type(field) ~= "string" or value == nil then
    node.refuse "till: the name of a field, and a value, expected"
  end
  return { till = field, value = value }
end

--- Fields in a table of their own.
function structure.record(name)
  if type(name) ~= "string" then node.refuse "record: a name expected" end
  return function(fields) return new("record", { name = name, fields = body("record", fields) }) end
end

--- A checksum over its body. It is a field of the body, which counts as zero; or a type: then it
--- comes right behind.
---@param f fun(bytes: string, ...): integer gets the values of the fields in options.uses as well
---@param what string|lariat.wire.Node
---@param options? {uses?: string[]}
function structure.check(f, what, options)
  if type(f) ~= "function" then node.refuse "check: a function of the bytes expected" end
  if type(what) ~= "string" and not (node.is(what) and what.kind == "int") then
    node.refuse "check: the name of a field, or an integer type, expected"
  end
  local o = misuse.check_options(3, "check", options or {}, { uses = "table" })
  local n = new("check", { fn = f, what = what, uses = o.uses })
  return function(fields)
        return node.with(n, "fields", body("check", fields))
  end
end

--- A body that is encoded once more: masked, compressed, encrypted. It takes the rest of its scope.
---@param definition {decode: function, encode: function, uses?: string[]}
function structure.through(definition)
  if type(definition) ~= "table" or type(definition.decode) ~= "function" or
      type(definition.encode) ~= "function" then
    node.refuse "through: a table with the functions decode and encode expected"
  end
  return function(fields)
    return new("through", { def = definition, fields = body("through", fields) })
  end
end

return structure
