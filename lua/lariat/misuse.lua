-- SPDX-License-Identifier: MIT
--
-- Errors of misuse: what a script did wrong, in Lua's words, at the script's line that did it.
-- Where in our own Lua code it is noticed is no concern of a script's: nothing here counts levels.

local where = require "lariat.core".where

local misuse = {}

local function raise(message)
  local at = where()
  error(at and at .. ": " .. message or message, 0)
end

--- The name of a value's type, as in Lua's own errors of arguments.
---@param value any
---@return string
function misuse.kind(value)
  local metatable = getmetatable(value)
  local name = type(metatable) == "table" and rawget(metatable, "__name")
  return type(name) == "string" and name or type(value)
end

--- Raises a message, formatted.
---@param message string
function misuse.error(message, ...)
  raise(message:format(...))
end

--- Raises an error about one argument.
---@param n integer its position
---@param name string of the function
---@param message string
function misuse.argument(n, name, message, ...)
  raise(("bad argument #%d to '%s' (%s)"):format(n, name, message:format(...)))
end

--- Raises an error about an argument of the wrong type.
---@param n integer
---@param name string
---@param expected string
---@param value any
---@param missing? boolean nothing was given
function misuse.type(n, name, expected, value, missing)
  local got = missing and "no value" or misuse.kind(value)
  misuse.argument(n, name, "%s expected, got %s", expected, got)
end

--- What a method is called on must be of its class.
---@param self any
---@param class table the metatable
---@param name string of the method
function misuse.check_self(self, class, name)
  if getmetatable(self) ~= class then
    misuse.error("calling '%s' on bad self (%s expected, got %s)", name, class.__name,
      misuse.kind(self))
  end
end

--- Can it be called?
---@param value any
---@return boolean
function misuse.callable(value)
  local metatable = type(value) ~= "function" and getmetatable(value)
  return type(value) == "function" or type(metatable) == "table" and metatable.__call ~= nil
end

--- Is it a number of seconds, as timeouts are: any number, negative for no limit?
---@param value any
---@return boolean
function misuse.is_seconds(value)
  return type(value) == "number" and value == value
end

--- Checks a timeout, which may be left out.
---@param n integer which argument it is
---@param name string of the function
---@param seconds any
function misuse.check_seconds(n, name, seconds)
  if seconds == nil or misuse.is_seconds(seconds) then return end
  misuse.argument(n, name, "seconds expected, got %s",
    type(seconds) == "number" and "nan" or misuse.kind(seconds))
end

-- Options -----------------------------------------------------------------------------------------

local KINDS = {
  seconds = misuse.is_seconds,
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
function misuse.check_options(n, name, options, known)
  if type(options) ~= "table" then misuse.type(n, name, "table of options", options) end
  for option, value in pairs(options) do
    local expected = known[option]
    if not expected then misuse.argument(n, name, "no such option '%s'", tostring(option)) end
    local check = KINDS[expected]
    if not (check and check(value) or type(value) == expected) then
      misuse.argument(n, name, "option '%s': %s expected, got %s", option, expected,
        type(value) == "number" and tostring(value) or misuse.kind(value))
    end
  end
  return options
end

return misuse
