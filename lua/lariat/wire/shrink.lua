-- SPDX-License-Identifier: MIT
--
-- Smaller values of the same message that still fail, and the check of a declaration that uses
-- them.

local Message = require "lariat.wire.node".Message
local compiled = require "lariat.wire.compiled"
local generator = require "lariat.wire.random"
local misuse = require "lariat.misuse"

local ATTEMPTS = 5000

local function deep(v)
  if type(v) ~= "table" then return v end
  local copy = {}
  for key, x in pairs(v) do copy[key] = deep(x) end
  return copy
end

-- Shrinking --------------------------------------------------------------------------------------

local function get(t, path)
  for _, key in ipairs(path) do
    if t == nil then return nil end
    t = t[key]
  end
  return t
end

-- Puts a value, or takes out an item, at a path of the best value so far, if that still fails.
local function attempt(state, path, new)
  state.attempts = state.attempts + 1
  if state.attempts > ATTEMPTS then return false end
  local value = deep(state.best)
  local last, t = path[#path], value
  for i = 1, #path - 1 do t = t[path[i]] end
  if math.type(last) == "integer" and new == nil then
    table.remove(t, last)
  else
    t[last] = new
  end
  if not pcall(state.message.encode, state.message, value) or not state.fails(value) then
    return false
  end
  state.best, state.again = value, true
  return true
end

local visit

local function visit_table(state, path, t)
  for i = #t, 1, -1 do
    path[#path + 1] = i
    if not attempt(state, path, nil) then visit(state, path) end
    path[#path] = nil
  end
  local names = {}
  for key in pairs(t) do
    if type(key) == "string" then names[#names + 1] = key end
  end
  table.sort(names)
  for _, name in ipairs(names) do
    path[#path + 1] = name
    if not attempt(state, path, nil) then visit(state, path) end
    path[#path] = nil
  end
end

local function visit_string(state, path, s)
  local function try(new) return new ~= s and attempt(state, path, new) end
  while #s > 0 and (try "" or try(s:sub(1, #s // 2)) or try(s:sub(1, -2))) do
    s = get(state.best, path)
  end
  if s:find "[^a]" then try(("a"):rep(#s)) end
end

local function visit_integer(state, path, i)
  local function try(new) return new ~= i and attempt(state, path, new) end
  while i ~= 0 and (try(0) or try(i // 2) or try(i - 1)) do i = get(state.best, path) end
end

function visit(state, path)
  local x = get(state.best, path)
  if type(x) == "table" then
    visit_table(state, path, x)
  elseif type(x) == "string" then
    visit_string(state, path, x)
  elseif math.type(x) == "integer" then
    visit_integer(state, path, x)
  elseif x == true then
    attempt(state, path, false)
  end
end

--- The smallest value found, from one for which fails(value) is true, for which it still is.
---@param value table
---@param fails fun(value: table): boolean
---@return table
function Message:shrink(value, fails)
  misuse.check_self(self, Message, "shrink")
  if not misuse.callable(fails) then misuse.type(2, "shrink", "function", fails, fails == nil) end
  local state = { message = self, best = value, attempts = 0, fails = fails, again = true }
  while state.again and state.attempts <= ATTEMPTS do
    state.again = false
    visit(state, {})
  end
  return state.best
end

-- Checking ---------------------------------------------------------------------------------------

local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b or a ~= a and b ~= b end
  for key, x in pairs(a) do
    if not same(x, b[key]) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return true
end

local function shown(v)
  if type(v) ~= "table" then return type(v) == "string" and ("%q"):format(v) or tostring(v) end
  local parts = {}
  for key, x in pairs(v) do
    local name = math.type(key) == "integer" and ("[%d]"):format(key) or tostring(key)
    parts[#parts + 1] = ("%s = %s"):format(name, shown(x))
  end
  table.sort(parts)
  return "{ " .. table.concat(parts, ", ") .. " }"
end

-- Can it be read from a stream?
local function is_delimited(message)
  return (pcall(compiled, message, "resumable"))
end

local function check_prefixes(message, bytes)
  for i = 0, #bytes - 1 do
    local value, why, lacking = message:decode(bytes:sub(1, i))
    if value ~= nil then return ("the first %d bytes are a message"):format(i) end
    if not lacking then return ("the first %d bytes: %s"):format(i, why) end
    if lacking > #bytes - i then
      return ("the first %d bytes lack %d, not %d"):format(i, #bytes - i, lacking)
    end
  end
end

-- In one piece, in single bytes, and in random pieces.
local function check_pieces(message, value, bytes, r)
  for _, size in ipairs { 1, 7, #bytes + 1 } do
    local feed, i, got = message:decoder(), 1, {}
    while i <= #bytes do
      local n = size > 1 and r(size) or 1
      local messages, why = feed(bytes:sub(i, i + n - 1))
      if not messages then return ("in pieces: %s"):format(why) end
      table.move(messages, 1, #messages, #got + 1, got)
      i = i + n
    end
    if not got[1] or got[2] or not same(got[1], value) then return "in pieces: another message" end
  end
end

-- A byte changed: an error, or a message that encodes and decodes to itself. With `canonical`, to
-- the same bytes.
local function check_mutation(message, bytes, r, canonical)
  if bytes == "" then return end
  local at = r(#bytes)
  local changed = bytes:sub(1, at - 1) .. string.char(bytes:byte(at) ~ r(255)) .. bytes:sub(at + 1)
  local value, next = message:decode(changed)
  if not value then return end
  local ok, again = pcall(message.encode, message, value)
  if not ok then return ("byte %d changed: decodes, but %s"):format(at - 1, again) end
  local read, why = message:decode(again)
  if not read then
    return ("byte %d changed: encodes to what cannot be decoded: %s"):format(at - 1, why)
  end
  if not same(read, value) then
    return ("byte %d changed: encodes to another message"):format(at - 1)
  end
  if canonical and again ~= changed:sub(1, next - 1) then
    return ("byte %d changed: encodes to other bytes"):format(at - 1)
  end
end

local function check_value(message, value, r, options)
  local ok, bytes = pcall(message.encode, message, value)
  if not ok then return bytes end
  local read, next = message:decode(bytes)
  if not read then return ("cannot be decoded: %s"):format(next) end
  if next ~= #bytes + 1 then return ("%d bytes are left"):format(#bytes + 1 - next) end
  if not same(read, value) then return "decodes to " .. shown(read) end
  if is_delimited(message) then
    local problem = check_prefixes(message, bytes) or check_pieces(message, value, bytes, r)
    if problem then return problem end
  end
  for _ = 1, 8 do
    local problem = check_mutation(message, bytes, r, options.canonical)
    if problem then return problem end
  end
end

-- What is left out of a table may have a default, so that a smaller one differs for another reason.
local DIFFERS = "decodes to "

-- The words of a problem, without its numbers and values.
local function kind_of(problem)
  return problem and problem:match "^[%a ]*"
end

local OPTIONS = { runs = "integer", seed = "integer", canonical = "boolean" }

--- Checks a declaration with random messages: each decodes to what was encoded, also in pieces, its
--- beginnings are incomplete, and a changed byte is noticed or makes another message. Raises for
--- the smallest message that does not.
---@param message lariat.wire.Message
---@param options? {runs?: integer, seed?: integer, canonical?: boolean}
return function(message, options)
  options = misuse.check_options(2, "check", options or {}, OPTIONS)
  local first = options.seed or 1
  for seed = first, first + (options.runs or 100) - 1 do
    local function problem_of(value)
      return check_value(message, value, generator(seed), options)
    end
    local value = message:random(seed)
    local problem = problem_of(value)
    if problem then
      local kind = kind_of(problem)
      local least = kind == DIFFERS and value or
        message:shrink(value, function(v) return kind_of(problem_of(v)) == kind end)
      misuse.error("%s, seed %d: %s: %s", message.name, seed, problem_of(least), shown(least))
    end
  end
end
