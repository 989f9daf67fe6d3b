-- SPDX-License-Identifier: MIT
--
-- The answers that a resolver keeps, for as long as they hold and within a bound.
-- There are two generations:
-- when the younger one is full, the older one is dropped and they change places; what is asked for
-- moves to the younger. So what is used stays, no list is kept in order, and nothing is swept.

local now = require "lariat.core".task.now

local cache = {}
cache.__index = cache

--- Makes a cache of at most so many entries.
---@param most integer
function cache.new(most)
  return setmetatable({ half = most // 2, count = 0, young = {}, old = {} }, cache)
end

--- Remembers a value until a time.
---@param key string
---@param value any
---@param expires number by task.now()
function cache:put(key, value, expires)
  local young = self.young
  if not young[key] then
    if self.count >= self.half then
      self.old, young = young, {}
      self.young, self.count = young, 0
    end
    self.count = self.count + 1
  end
  young[key] = { value = value, expires = expires }
end

--- What is remembered, and for how many seconds more.
---@param key string
---@return any value nil: nothing
---@return number seconds
function cache:get(key)
  local entry = self.young[key]
  local time = now()
  if entry and entry.expires > time then return entry.value, entry.expires - time end
  local old = not entry and self.old[key]
  if not old then return nil, 0 end
  self.old[key] = nil
  if old.expires <= time then return nil, 0 end
  self:put(key, old.value, old.expires)
  return old.value, old.expires - time
end

return cache
