-- SPDX-License-Identifier: MIT
--
-- The commands of resp_server.lua. Each takes the words of a command and returns a reply, as
-- wire/resp.lua declares it. None of them waits, so each is atomic.

local OK, PONG = { kind = "simple", text = "OK" }, { kind = "simple", text = "PONG" }
local NIL = { kind = "bulk" } -- a string that is not there

local function bulk(text) return { kind = "bulk", data = text } end
local function int(value) return { kind = "int", value = value } end
local function failure(text) return { kind = "error", text = "ERR " .. text } end

local function array(list)
  local items = {}
  for i, text in ipairs(list) do items[i] = bulk(text) end
  return { kind = "array", items = items }
end

local WRONG = { kind = "error", text = "WRONGTYPE the key holds the wrong kind of value" }

local values = {} -- key -> string, or list { first =, last =, [first] ... [last] }

local function add(key, amount)
  local text = values[key] or "0"
  if type(text) == "table" then return WRONG end
  local n = text:find "^-?%d+$" and math.tointeger(text)
  if not n or not amount then return failure "value is not an integer or out of range" end
  values[key] = tostring(n + amount)
  return int(n + amount)
end

local function list_of(key)
  if values[key] == nil then values[key] = { first = 1, last = 0 } end
  return type(values[key]) == "table" and values[key] or nil
end

local function push(w, step)
  local list = list_of(w[2])
  if not list then return WRONG end
  for i = 3, #w do
    if step < 0 then list.first = list.first - 1 else list.last = list.last + 1 end
    list[step < 0 and list.first or list.last] = w[i]
  end
  return int(list.last - list.first + 1)
end

local function pop(key, step)
  local list = values[key]
  if list == nil then return NIL elseif type(list) == "string" then return WRONG end
  local at = step < 0 and list.first or list.last
  local text = list[at]
  list[at] = nil
  if step < 0 then list.first = at + 1 else list.last = at - 1 end
  if list.first > list.last then values[key] = nil end
  return bulk(text)
end

local function count(w, f)
  local n = 0
  for i = 2, #w do n = n + (f(w[i]) and 1 or 0) end
  return int(n)
end

local function remove(key)
  local there = values[key] ~= nil
  values[key] = nil
  return there
end

local commands = {} -- name -> { fewest words, f(words) -> reply }
commands.PING = { 1, function(w) return w[2] and bulk(w[2]) or PONG end }
commands.ECHO = { 2, function(w) return bulk(w[2]) end }
commands.SET = { 3, function(w) values[w[2]] = w[3] return OK end }
commands.GET = { 2, function(w)
  local value = values[w[2]]
  return type(value) == "table" and WRONG or value and bulk(value) or NIL
end }
commands.DEL = { 2, function(w) return count(w, remove) end }
commands.EXISTS = { 2, function(w) return count(w, function(key) return values[key] end) end }
commands.INCR = { 2, function(w) return add(w[2], 1) end }
commands.INCRBY = { 3, function(w) return add(w[2], math.tointeger(w[3])) end }
commands.LPUSH = { 3, function(w) return push(w, -1) end }
commands.RPUSH = { 3, function(w) return push(w, 1) end }
commands.LPOP = { 2, function(w) return pop(w[2], -1) end }
commands.RPOP = { 2, function(w) return pop(w[2], 1) end }
commands.LLEN = { 2, function(w)
  local list = values[w[2]]
  return type(list) == "string" and WRONG or int(list and list.last - list.first + 1 or 0)
end }
commands.FLUSHALL = { 1, function() values = {} return OK end }
commands.COMMAND = { 1, function() return array {} end }
commands.CONFIG = { 3, function(w) return array { w[3], "" } end }

--- Runs a command.
---@param words string[]
---@return table reply
return function(words)
  local command = commands[words[1]:upper()]
  if not command then return failure(("unknown command '%s'"):format(words[1]:sub(1, 64))) end
  if #words < command[1] then return failure("wrong number of arguments for " .. words[1]) end
  return command[2](words)
end

