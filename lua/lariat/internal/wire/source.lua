-- SPDX-License-Identifier: MIT
--
-- Source text, for both compilers. Each message becomes Lua functions, which load() compiles:
-- fields are local variables, and runs of fields of known size are read by one call.
--
-- Lua allows 200 local variables and 255 registers in a function. A message that needs more is
-- compiled again in the "roomy" way: variables are fields of a table V, and the values it refers to
-- are fields of a table U.

local node = require "lariat.internal.wire.node"
local runtime = require "lariat.internal.wire.runtime"

---@class lariat.wire.Source
local Source = {}
Source.__index = Source

--- The names that generated code can use, in the order of its parameters.
local ENVIRONMENT = {
  { "unpack", string.unpack }, { "pack", string.pack }, { "byte", string.byte },
  { "sub", string.sub }, { "char", string.char }, { "find", string.find },
  { "match", string.match }, { "concat", table.concat }, { "tointeger", math.tointeger },
  { "tostring", tostring }, { "error", error }, { "type", type }, { "bad", runtime.bad },
  { "cut", runtime.cut }, { "expected", runtime.expected }, { "nest", runtime.nest },
    { "more", runtime.more },
  { "more_upto", runtime.more_upto }, { "checked", runtime.checked },
  { "varint", runtime.varint }, { "quicint", runtime.quicint }, { "number", runtime.number },
  { "token", runtime.token }, { "read_headers", runtime.read_headers },
  { "write_headers", runtime.write_headers }, { "B", runtime.B },
  { "lacking", runtime.lacking }, { "too_long", runtime.too_long },
  { "check_decode", runtime.check_decode },
}
local names, values = {}, {}
for i, entry in ipairs(ENVIRONMENT) do names[i], values[i] = entry[1], entry[2] end
local HEAD = ("local %s, I, self, TR, U = ...\n"):format(table.concat(names, ", "))

--- A string as one line of source.
function Source.quote(s)
  return (("%q"):format(s):gsub("\n", "n"))
end

function Source.literal(v)
  if type(v) == "string" then return Source.quote(v) end
  if v == math.mininteger then return "math_mininteger" end
  return tostring(v)
end

--- Can it be written as a variable or after a dot?
local function is_name(name)
  return name:find "^[%a_][%w_]*$" and load("local " .. name) ~= nil
end

--- m.name, or m["name"].
function Source.dot(m, name)
  return is_name(name) and m .. "." .. name or ("%s[%s]"):format(m, Source.quote(name))
end

--- A name as the key of a table constructor.
function Source.key(name)
  return is_name(name) and name or ("[%s]"):format(Source.quote(name))
end

---@param class table Source or what derives from it
---@param message lariat.wire.Message
---@param mode "plain"|"traced"|"resumable"|"direct"|"encode"
---@param roomy boolean
function Source.new(class, message, mode, roomy)
  return setmetatable({
    message = message, mode = mode, roomy = roomy, lines = {}, values = {}, value_of = {},
    path = { (message.name:gsub("%%", "%%%%")) }, indexes = {}, count = 0,
  }, class)
end

--- Adds a line, formatted if there are arguments.
function Source:w(text, ...)
  self.lines[#self.lines + 1] = select("#", ...) > 0 and text:format(...) or text
end

--- A variable that nothing else is called.
function Source:new_variable(prefix)
  self.count = self.count + 1
  return self.roomy and ("V[%d]"):format(self.count) or prefix .. self.count
end

function Source.is_variable(expression)
  return expression:find "^%w+$" ~= nil or expression:find "^V%[%d+%]$" ~= nil
end

--- Declares variables, with their values if any.
function Source:let(variables, expression)
  if self.roomy then
    self:w(("%s = %s"):format(variables, expression or "nil"))
  else
    self:w(("local %s%s"):format(variables, expression and " = " .. expression or ""))
  end
end

--- A new variable of that value.
function Source:as_variable(prefix, expression)
  local v = self:new_variable(prefix)
  self:let(v, expression)
  return v
end

--- The name under which generated code finds a value of ours.
function Source:outer(value)
  if not self.value_of[value] then
    self.values[#self.values + 1] = value
    self.value_of[value] = (self.roomy and "U[%d]" or "U%d"):format(#self.values)
  end
  return self.value_of[value]
end

--- Where an error is: { path, what }.
function Source:info(n, what)
  local path = table.concat(self.path, ".")
  if n and n.name and n.name ~= "_" then path = path .. "." .. n.name:gsub("%%", "%%%%") end
  local infos = self.message.infos
  infos[#infos + 1] = { path, what or n and node.title(n) or "", lsb = n and n.lsb }
  return ("I[%d]"):format(#infos)
end

--- The arguments for the items' numbers in a path.
function Source:arguments()
  return #self.indexes > 0 and ", " .. table.concat(self.indexes, ", ") or ""
end

--- Runs f with a path that is longer by `name`; with `indexed`, by the number of an item as well.
function Source:deeper(name, f, indexed)
  if name then
    self.path[#self.path + 1] = name:gsub("%%", "%%%%") .. (indexed and "[%d]" or "")
  end
  f()
  if name then self.path[#self.path] = nil end
end

-- Errors raised in generated code name the script's line, as those of our own modules do.
local CHUNK = "=lariat.internal.wire.compiled"

--- Compiles what has been written.
---@return function
function Source:build()
  local text = { HEAD }
  if not self.roomy then
    for i = 1, #self.values do text[#text + 1] = ("local U%d = U[%d]\n"):format(i, i) end
  end
  text[#text + 1] = table.concat(self.lines, "\n")
  text[#text + 1] = "\nreturn f\n"
  local chunk, message = load(table.concat(text), CHUNK, "t",
    { math_mininteger = math.mininteger })
  if not chunk then error(message, 0) end
  local arguments = table.move(values, 1, #values, 1, {})
  if self.mode == "direct" then
    for i, word in ipairs(names) do arguments[i] = runtime.direct[word] or arguments[i] end
  end
  local n = #values
  arguments[n + 1], arguments[n + 2] = self.message.infos, self.message
  arguments[n + 3], arguments[n + 4] = self.trace, self.values
  return chunk(table.unpack(arguments, 1, n + 4))
end

return Source
