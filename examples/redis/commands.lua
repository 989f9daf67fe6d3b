-- SPDX-License-Identifier: MIT
--
-- The commands of redis_server.lua. Each takes the words of the command and returns the reply as it
-- is sent. None of them waits, so each is atomic: no lock anywhere.

local protocol = require "redis.protocol"
local store = require "redis.store"

local get, put = store.get, store.put
local OK, NULL = protocol.OK, protocol.NULL
local integer, bulk, array, failure =
  protocol.integer, protocol.bulk, protocol.array, protocol.error

local SYNTAX = failure "syntax error"
local NOT_INTEGER = failure "value is not an integer or out of range"

local function integer_of(text)
  return text:find "^-?%d+$" and math.tointeger(text) or nil
end

local command = {} -- name -> { function, fewest words, most words }
local function define(name, fewest, most, run) command[name] = { run, fewest, most } end

define("PING", 1, 2, function(w) return w[2] and bulk(w[2]) or "+PONG\r\n" end)
define("ECHO", 2, 2, function(w) return bulk(w[2]) end)
define("QUIT", 1, 1, function() return OK, true end)
define("SELECT", 2, 2, function(w) return w[2] == "0" and OK or failure "no such database" end)
define("COMMAND", 1, math.huge, function() return array {} end)
define("CLIENT", 2, math.huge, function() return OK end)
define("CONFIG", 2, math.huge, function(w) return w[3] and array { w[3], "" } or OK end)

define("GET", 2, 2, function(w) return bulk(get(w[2])) end)

-- SET key value [NX|XX] [EX seconds|PX milliseconds]
define("SET", 3, 6, function(w)
  local condition, seconds
  local i = 4
  while w[i] do
    local option = w[i]:upper()
    if (option == "EX" or option == "PX") and w[i + 1] and not seconds then
      seconds = integer_of(w[i + 1])
      if not seconds then return NOT_INTEGER end
      if seconds <= 0 then return failure "invalid expire time in 'set' command" end
      if option == "PX" then seconds = seconds / 1000 end
      i = i + 2
    elseif (option == "NX" or option == "XX") and not condition then
      condition = option
      i = i + 1
    else
      return SYNTAX
    end
  end
  if condition and (get(w[2]) ~= nil) ~= (condition == "XX") then return NULL end
  put(w[2], w[3], seconds)
  return OK
end)

local function count_keys(w, f)
  local n = 0
  for i = 2, #w do if f(w[i]) then n = n + 1 end end
  return integer(n)
end

define("DEL", 2, math.huge, function(w) return count_keys(w, store.remove) end)
define("EXISTS", 2, math.huge, function(w) return count_keys(w, get) end)

define("MGET", 2, math.huge, function(w)
  local found = {}
  for i = 2, #w do found[i - 1] = get(w[i]) end
  return array(found, #w - 1)
end)

define("MSET", 3, math.huge, function(w)
  if #w % 2 == 0 then return failure "wrong number of arguments for 'mset' command" end
  for i = 2, #w, 2 do put(w[i], w[i + 1]) end
  return OK
end)

local function add(key, amount)
  local n = integer_of(get(key) or "0")
  if not n or not amount then return NOT_INTEGER end
  local sum = n + amount -- wraps around; then it lies on the wrong side of n
  if (sum > n) ~= (amount > 0) and amount ~= 0 then
    return failure "increment or decrement would overflow"
  end
  store.change(key, tostring(sum))
  return integer(sum)
end

define("INCR", 2, 2, function(w) return add(w[2], 1) end)
define("DECR", 2, 2, function(w) return add(w[2], -1) end)
define("INCRBY", 3, 3, function(w) return add(w[2], integer_of(w[3])) end)

define("APPEND", 3, 3, function(w)
  local value = (get(w[2]) or "") .. w[3]
  store.change(w[2], value)
  return integer(#value)
end)
define("STRLEN", 2, 2, function(w) return integer(#(get(w[2]) or "")) end)

define("EXPIRE", 3, 3, function(w)
  local seconds = integer_of(w[3])
  return seconds and integer(store.expire(w[2], seconds) and 1 or 0) or NOT_INTEGER
end)
define("TTL", 2, 2, function(w) return integer(store.ttl(w[2])) end)
define("KEYS", 2, 2, function(w) return array(store.keys(w[2])) end)
define("DBSIZE", 1, 1, function() return integer(#store.keys "*") end)
define("FLUSHALL", 1, 2, function() store.clear() return OK end)

--- Runs a command; returns the reply, and true if the client wants to be closed.
return function(words)
  local name, count = words[1], #words
  local found = command[name] or command[name:upper()]
  if not found then return failure(("unknown command '%s'"):format(name:sub(1, 64))) end
  if count < found[2] or count > found[3] then
    return failure(("wrong number of arguments for '%s' command"):format(name:lower()))
  end
  return found[1](words)
end
