-- SPDX-License-Identifier: MIT
--
-- One name and one type, as a program knows them: from its cache, from a question under way, or by
-- asking. The first task that asks does it for all; if it gives up, another one that waits goes on.
--
-- The program's table (core.resolver.state) holds: cache, flights, slots, turn.

local core = require "lariat.core"
local answer = require "lariat.internal.dns.answer"
local cache = require "lariat.internal.dns.cache"
local channel = require "lariat.internal.task.channel"
local exchange = require "lariat.internal.dns.exchange"
local task = core.task

local query = {}

local ENTRIES = 10000  -- that a program remembers
local MOST_ASKING = 200 -- questions under way: more would overflow a server's socket
local MOST_FOLLOWED = 8 -- questions about one name, as its aliases lead on

--- The table of this program, with what is needed here.
function query.state()
  local state = core.resolver.state()
  if not state.slots then
    state.flights, state.turn, state.slots = {}, 0, channel.semaphore(MOST_ASKING)
    query.forget(state)
  end
  return state
end

--- Forgets what has been answered.
function query.forget(state)
  state.cache = cache.new(ENTRIES)
end

local function flights_end(state, key, flight)
  return setmetatable({}, { __close = function()
    state.flights[key] = nil
    flight.condition:wake()
  end })
end

-- Runs f() for all who want the same at the same time. -> what it returned. A failure counts for
-- those only who would not have waited longer.
local function share(state, key, patience, f)
  local flight = state.flights[key]
  while flight do
    flight.condition:wait(nil, "name lookup")
    if flight.result or flight.done and flight.patience >= patience then
      return flight.result, flight.message
    end
    flight = state.flights[key]
  end
  flight = { condition = task.condition(), patience = patience }
  state.flights[key] = flight
  local _ <close> = flights_end(state, key, flight)
  flight.result, flight.message = f()
  flight.done = true
  return flight.result, flight.message
end

-- -> what the answer says, remembered; or nil, message
local function ask(state, name, kind, options)
  local first = 1
  if options.rotate then
    state.turn = state.turn + 1
    first = state.turn
  end
  local m, message = exchange.ask({ name = name, type = kind }, {
    servers = options.servers, first = first, attempts = options.attempts,
    timeout = options.timeout, tcp = options.tcp, cache = state.cache,
  })
  if not m then return nil, message end
  return answer.read(m, name, kind)
end

local function remember(state, where, name, kind, said)
  if said.ttl <= 0 then return end
  local all = said.failure == "NXDOMAIN" and not said.aliased
  local key = where .. name:lower() .. " " .. (all and "*" or kind)
  state.cache:put(key, said, task.now() + said.ttl)
end

-- As it is now: what was remembered has fewer seconds left, and is nobody's to change.
local function copy(said, left)
  if said.failure then return said end
  local records = {}
  for i, record in ipairs(said.records) do
    local one = {}
    for key, value in pairs(record) do one[key] = value end
    one.ttl = left and math.min(record.ttl, math.floor(left + 0.5)) or record.ttl
    records[i] = one
  end
  return { records = records, canonical = said.canonical, ttl = said.ttl }
end

local function recall(state, where, name, kind)
  local key = where .. name:lower() .. " "
  local said, left = state.cache:get(key .. kind)
  if not said then said, left = state.cache:get(key .. "*") end
  return said, left
end

-- Asks, and goes on asking where an alias leads out of the answer.
local function follow(state, where, name, kind, options)
  local at, ttl = name, math.huge
  for _ = 1, MOST_FOLLOWED do
    local said, message = recall(state, where, at, kind)
    if not said then said, message = ask(state, at, kind, options) end
    if type(said) ~= "table" then return nil, message end
    ttl = math.min(ttl, said.ttl)
    if not said.follow then
      said = { records = said.records, canonical = said.canonical, failure = said.failure,
        ttl = ttl, aliased = said.aliased or at ~= name }
      remember(state, where, name, kind, said)
      return said
    end
    at = said.follow
  end
  return nil, "too many aliases"
end

local function names_of(servers)
  local texts = {}
  for i, server in ipairs(servers) do texts[i] = server.text end
  return table.concat(texts, " ") .. " "
end

--- What is known of a name, or becomes known by asking.
---@param name string without the last dot
---@param kind string|integer the type
---@param options table { servers =, attempts =, timeout =, tcp =, rotate = }
---@return table? said { records =, canonical =, ttl = } or { failure = "NXDOMAIN" | "NODATA" }
---@return string? message no server has an answer
function query.run(name, kind, options)
  local state = query.state()
  local where = options.where or names_of(options.servers)
  options.where = where
  local said, left = recall(state, where, name, kind)
  if said then return copy(said, left) end
  local key = where .. name:lower() .. " " .. kind .. (options.tcp and " tcp" or "")
  local message
  said, message = share(state, key, options.timeout * options.attempts, function()
    return state.slots:with(follow, state, where, name, kind, options)
  end)
  if not said then return nil, message end
  return copy(said)
end

return query
