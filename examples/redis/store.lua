-- SPDX-License-Identifier: MIT
--
-- The data of redis_server.lua: strings by key, some of which expire. What has expired is removed
-- when it is touched, and by a task that looks around every few seconds.

local task = require "lariat.task"

local SWEEP = 5 -- seconds

local store = {}
local values, expires = {}, {} -- key -> string; key -> the time, by task.now, at which it is gone

function store.remove(key)
  if store.get(key) == nil then return false end
  values[key], expires[key] = nil, nil
  return true
end

function store.get(key)
  local time = expires[key]
  if time and time <= task.now() then
    values[key], expires[key] = nil, nil
  end
  return values[key]
end

function store.put(key, value, seconds)
  values[key] = value
  expires[key] = seconds and task.now() + seconds
end

--- Replaces a value and leaves its time of expiry alone.
function store.change(key, value)
  values[key] = value
end

function store.expire(key, seconds)
  if store.get(key) == nil then return false end
  expires[key] = task.now() + seconds
  return true
end

--- Seconds to live; -1: for ever, -2: no such key.
function store.ttl(key)
  if store.get(key) == nil then return -2 end
  return expires[key] and math.ceil(expires[key] - task.now()) or -1
end

-- A glob as a list: "*", or a pattern for one character: "?" is any, "[a-c]" a class, "\" takes the
-- meaning of the next away.
local function parse_glob(glob)
  local parts, i = {}, 1
  while i <= #glob do
    local c = glob:sub(i, i)
    local class = glob:match("^%[%^?[^%[%]%%]+%]", i)
    if c == "\\" and i < #glob then
      i = i + 1
      c = "^" .. glob:sub(i, i):gsub("%W", "%%%0")
    elseif class then
      i = i + #class - 1
      c = "^" .. class
    elseif c ~= "*" then
      c = c == "?" and "^." or "^" .. c:gsub("%W", "%%%0")
    end
    parts[#parts + 1] = c
    i = i + 1
  end
  return parts
end

-- Only the last "*" is ever tried again, so no glob takes longer than #parts * #text steps.
local function matches(parts, text)
  local at, i, star, resume = 1, 1, nil, nil
  while i <= #text do
    local part = parts[at]
    if part == "*" then
      at, star, resume = at + 1, at, i
    elseif part and text:find(part, i) then
      at, i = at + 1, i + 1
    elseif star then
      at, resume = star + 1, resume + 1
      i = resume
    else
      return false
    end
  end
  while parts[at] == "*" do at = at + 1 end
  return at > #parts
end

function store.keys(glob)
  local parts, found, now = parse_glob(glob), {}, task.now()
  for key in pairs(values) do
    if not (expires[key] and expires[key] <= now) and matches(parts, key) then
      found[#found + 1] = key
    end
  end
  return found
end

function store.clear()
  values, expires = {}, {}
end

task.spawn(function()
  while true do
    task.sleep(SWEEP)
    local now = task.now()
    for key, time in pairs(expires) do
      if time <= now then values[key], expires[key] = nil, nil end
    end
  end
end)

return store
