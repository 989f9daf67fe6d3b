-- SPDX-License-Identifier: MIT
--
-- Errors of usage: raised with the script's line that called our code, in the wording of Lua's own
-- errors. The line is found by looking at the stack, so no function here takes an error level.

local where = require "lariat.core".where

local usage = {}

local function raise(message)
  local at = where()
  error(at and at .. ": " .. message or message, 0)
end

--- The name of a value's type, as in Lua's own errors of arguments. (A module: see usage.module.)
---@param value any
---@return string
function usage.kind(value)
  local metatable = getmetatable(value)
  if type(metatable) ~= "table" then return type(value) end
  if metatable.__module then
    return ("module '%s', whose functions are called with a dot"):format(metatable.__module)
  end
  local name = rawget(metatable, "__name")
  return type(name) == "string" and name or type(value)
end

--- Raises a message, formatted.
---@param message string
function usage.error(message, ...)
  raise(message:format(...))
end

--- Raises an error about one argument.
---@param n integer its position
---@param name string of the function
---@param message string
function usage.argument(n, name, message, ...)
  raise(("bad argument #%d to '%s' (%s)"):format(n, name, message:format(...)))
end

--- Raises an error about an argument of the wrong type.
---@param n integer
---@param name string
---@param expected string
---@param value any
---@param missing? boolean nothing was given
function usage.type(n, name, expected, value, missing)
  local got = missing and "no value" or usage.kind(value)
  usage.argument(n, name, "%s expected, got %s", expected, got)
end

--- Raises an error about what a method was called on.
---@param name string of the method
---@param expected string
---@param self any
function usage.bad_self(name, expected, self)
  usage.error("calling '%s' on bad self (%s expected, got %s); methods are called with a colon",
    name, expected, usage.kind(self))
end

--- Raises an error unless `self`, on which a method was called, is of the method's class.
---@param self any
---@param class table the metatable
---@param name string of the method
function usage.check_self(self, class, name)
  if getmetatable(self) ~= class then usage.bad_self(name, class.__name, self) end
end

--- Can it be called?
---@param value any
---@return boolean
function usage.callable(value)
  local metatable = type(value) ~= "function" and getmetatable(value)
  return type(value) == "function" or type(metatable) == "table" and metatable.__call ~= nil
end

--- Is it a number of seconds, as timeouts are: any number, negative for no limit?
---@param value any
---@return boolean
function usage.is_seconds(value)
  return type(value) == "number" and value == value
end

--- Checks a timeout, which may be left out.
---@param n integer which argument it is
---@param name string of the function
---@param seconds any
function usage.check_seconds(n, name, seconds)
  if seconds == nil or usage.is_seconds(seconds) then return end
  usage.argument(n, name, "seconds expected, got %s",
    type(seconds) == "number" and "nan" or usage.kind(seconds))
end

-- A number as errors show it: "nan" for every nan.
local function got(number)
  return number ~= number and "nan" or tostring(number)
end

--- Checks an amount that cannot be negative, such as the seconds from now to a deadline.
---@param n integer which argument it is
---@param name string of the function
---@param what string what it is, as "seconds"
---@param amount any
function usage.check_amount(n, name, what, amount)
  if type(amount) ~= "number" then usage.type(n, name, what, amount) end
  if amount >= 0 then return end
  local negative = amount < 0 and ", not negative:" or ","
  usage.argument(n, name, "%s expected%s got %s", what, negative, got(amount))
end

-- Modules -----------------------------------------------------------------------------------------

--- Marks a module's table. Its functions get it as their first argument when they are called with a
--- colon; the errors about that argument then say so (in C: usage_check_dot).
---@param name string
---@param module table
---@return table module
function usage.module(name, module)
  local metatable = getmetatable(module) or {}
  metatable.__module = name
  return setmetatable(module, metatable)
end

--- Is it a table, and not that of a module? (A module's function called with a colon gets the
--- module's.)
---@param value any
---@return boolean
function usage.is_table(value)
  local metatable = type(value) == "table" and getmetatable(value)
  return type(value) == "table" and not (type(metatable) == "table" and metatable.__module)
end

-- Options -----------------------------------------------------------------------------------------

-- The edit distance of two words: letters added, removed, changed or swapped with their neighbours.
local function distance(a, b)
  local rows = { [0] = {} } -- rows[i][j]: from the first i letters of a to the first j of b
  for j = 0, #b do rows[0][j] = j end
  for i = 1, #a do
    local row, last = { [0] = i }, rows[i - 1]
    rows[i] = row
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      row[j] = math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (same and 0 or 1))
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        row[j] = math.min(row[j], rows[i - 2][j - 2] + 1)
      end
    end
  end
  return rows[#a][#b]
end

local SHORTEST_PART = 4 -- of a name that stands for the whole
local LONGEST_NAME = 64 -- a longer name is not taken for a misspelt one

-- The only known name that has this one in it, as "tcp-nodelay" has "nodelay".
local function longer(name, known)
  local found
  for other in pairs(known) do
    if other:find(name, 1, true) then
      if found then return nil end
      found = other
    end
  end
  return found
end

--- What is added to the message about an unknown name: the nearest known name, if one is near.
---@param name string
---@param known table<string, any> its keys are the names
---@return string # ": did you mean 'limit'?", or ""
function usage.hint(name, known)
  local nearest, least = nil, math.max(1, #name // 3) + 1
  if #name > LONGEST_NAME then return "" end
  for other in pairs(known) do
    local d = distance(name, other)
    if d < least or d == least and nearest and other < nearest then nearest, least = other, d end
  end
  if nearest and 2 * least >= #name then nearest = nil end
  nearest = nearest or #name >= SHORTEST_PART and longer(name, known)
  return nearest and (": did you mean '%s'?"):format(nearest) or ""
end

--- The message about an unknown option, the same for all functions and the command line.
---@param option any
---@param known table<string, any> its keys are the known options
---@return string
function usage.no_option(option, known)
  local name = tostring(option)
  return ("no such option '%s'%s"):format(name, usage.hint(name, known))
end

local KINDS = {
  seconds = usage.is_seconds,
  integer = function(value) return math.type(value) == "integer" end,
  ["string or table"] = function(value)
    return type(value) == "string" or type(value) == "table"
  end,
}

--- Checks a table of options.
---@param n integer which argument it is
---@param name string of the function
---@param options any
---@param known table<string, string> the kind of each: a type, "integer" or "seconds"
---@return table options
function usage.check_options(n, name, options, known)
  if not usage.is_table(options) then usage.type(n, name, "table of options", options) end
  for option, value in pairs(options) do
    local expected = known[option]
    if not expected then usage.argument(n, name, "%s", usage.no_option(option, known)) end
    local check = KINDS[expected]
    if not (check and check(value) or type(value) == expected) then
      usage.argument(n, name, "option '%s': %s expected, got %s", option, expected,
        type(value) == "number" and tostring(value) or usage.kind(value))
    end
  end
  return options
end

return usage
