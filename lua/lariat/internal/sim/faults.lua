-- SPDX-License-Identifier: MIT
--
-- The options of a simulation: the families of faults, how strong each is, and which of them a
-- seed turns on. A family that is off still draws from its stream of chance (src/sim/random.c), so
-- taking one away changes nothing before the first packet that it would have touched.

local core = require "lariat.core".sim
local usage = require "lariat.internal.usage"

local faults = {}

--- The families of faults, and their strengths if an option is just `true`: probabilities for each
--- packet, and for partitions the mean time in seconds between two.
faults.FAMILIES = { "loss", "duplicate", "reorder", "delay", "split", "partition" }
local STRENGTH = {
  loss = 0.03, duplicate = 0.02, reorder = 0.05, delay = 0.01, split = 0.5, partition = 5,
}

---@class lariat.sim.Options
---@field seed? integer decides everything that is left to chance; default 1
---@field latency? number|number[] seconds from host to host, or {least, most}; {0.001, 0.005}
---@field loss? boolean|number probability that a packet is lost
---@field duplicate? boolean|number that a datagram arrives twice
---@field reorder? boolean|number that a packet is overtaken by later ones
---@field delay? boolean|number that a packet holds up its link for 0.1 to 1 s
---@field split? boolean|number that data are cut anywhere into packets; default true
---@field partition? boolean|number mean seconds between partitions of two hosts, of up to 2 s each
---@field swarm? boolean the seed turns each of the families on or off, and chooses its strength
---@field without? string[] families that stay off, whatever else is said
---@field epoch? number what the wall clock says at the beginning; default the year 2000
---@field max_events? integer a run that takes more has failed; default 10 million
---@field max_time? number virtual seconds; default a day
---@field echo? boolean hosts that run a script print to our standard output as well; default true

local KNOWN = {
  seed = "integer", latency = "latency", swarm = "boolean", without = "families", epoch = "epoch",
  max_events = "limit", max_time = "limit", echo = "boolean",
  seeds = "count", timeout = "timeout", -- sim.it's, so that one table serves it and sim.run
}
for _, family in ipairs(faults.FAMILIES) do KNOWN[family] = "strength" end

-- The options that may be changed while a run is under way.
local CHANGEABLE = { latency = true, swarm = true, without = true }
for _, family in ipairs(faults.FAMILIES) do CHANGEABLE[family] = true end

-- Is it a list, and nothing else?
local function is_list(value)
  if type(value) ~= "table" then return false end
  local count = 0
  for _ in pairs(value) do count = count + 1 end
  return count == #value
end

local function is_seconds(value)
  return type(value) == "number" and value >= 0 and value < 1e6
end

-- Each returns true if the value fits; else false, what is expected, and true if that text shows
-- the value itself.
local CHECKS = {
  boolean = function(value) return type(value) == "boolean", "boolean expected" end,
  integer = function(value) return math.type(value) == "integer", "integer expected" end,
  count = function(value)
    return math.type(value) == "integer" and value >= 1, "a positive integer expected"
  end,
  timeout = function(value)
    return type(value) == "number" and value >= 0 and value < 1e8, "seconds expected"
  end,
  limit = function(value) -- math.huge is none
    return type(value) == "number" and value >= 0, "number expected, not negative"
  end,
  epoch = function(value)
    return type(value) == "number" and value >= 0 and value < 1e12, "seconds since 1970 expected"
  end,
  strength = function(value, name)
    if type(value) == "boolean" then return true end
    if name == "partition" then return is_seconds(value), "boolean or seconds expected" end
    return type(value) == "number" and value >= 0 and value <= 1,
      "boolean or probability from 0 to 1 expected"
  end,
  latency = function(value)
    if type(value) ~= "table" then return is_seconds(value), "seconds or {least, most} expected" end
    local low, high = value[1], value[2]
    local ok = is_list(value) and #value == 2 and is_seconds(low) and is_seconds(high)
    return ok and low <= high, "{least, most} in seconds expected"
  end,
  families = function(value)
    if not is_list(value) then return false, "list of fault families expected" end
    for _, name in ipairs(value) do
      if not STRENGTH[name] then
        return false, ("'%s' is none of %s%s"):format(tostring(name),
          table.concat(faults.FAMILIES, ", "), usage.hint(tostring(name), STRENGTH)), true
      end
    end
    return true
  end,
}

--- What is wrong with the options, or nil.
---@param options lariat.sim.Options
---@return string?
function faults.problem(options)
  for name, value in pairs(options) do
    local kind = KNOWN[name]
    if not kind then return usage.no_option(name, KNOWN) end
    local ok, expected, inside = CHECKS[kind](value, name)
    if not ok then
      local got = type(value) == "number" and tostring(value) or usage.kind(value)
      return ("option '%s': %s%s"):format(name, expected, inside and "" or ", got " .. got)
    end
  end
end

--- What is wrong with options for a run that is under way, or nil.
---@param options lariat.sim.Options
---@return string?
function faults.problem_of_change(options)
  for name in pairs(options) do
    if KNOWN[name] and not CHANGEABLE[name] then
      return ("option '%s' cannot be changed while the simulation runs"):format(name)
    end
  end
  return faults.problem(options)
end

--- Do the options name any faults? If not, a test turns swarm mode on.
---@param options lariat.sim.Options
---@return boolean
function faults.named(options)
  if options.swarm ~= nil then return true end
  for _, family in ipairs(faults.FAMILIES) do
    if options[family] ~= nil then return true end
  end
  return false
end

local function strength_of(options, family)
  local value = options[family]
  if value == nil then value = options.swarm or family == "split" end
  if value == true then return STRENGTH[family] end
  return value or 0
end

-- In swarm mode a fault is off, or has a quarter to twice its strength; for partitions the strength
-- is the time between two.
local function swarm(seed, n, family, strength)
  local on = core.draw(seed, 2 * n) % 2 == 0
  local factor = 0.25 + core.draw(seed, 2 * n + 1) % 1000 / 1000 * 1.75
  if not on then return 0 end
  if family == "partition" then return strength / factor end
  return math.min(strength * factor, 1)
end

local function contains(list, wanted)
  for _, value in ipairs(list or {}) do
    if value == wanted then return true end
  end
  return false
end

--- The options for lariat.core.sim.run, and `faults`, the list of families that are on.
---@param options lariat.sim.Options
---@return table
function faults.settings(options)
  local latency = options.latency or { 0.001, 0.005 }
  local low, high = latency, latency
  if type(latency) == "table" then low, high = latency[1], latency[2] end
  local settings = {
    seed = options.seed or 1, latency_low = low, latency_high = high,
    epoch = options.epoch or 946684800, max_events = options.max_events, faults = {},
    max_time = options.max_time,
  }
  for n, family in ipairs(faults.FAMILIES) do
    local strength = strength_of(options, family)
    if options.swarm then strength = swarm(settings.seed, n, family, strength) end
    if contains(options.without, family) then strength = 0 end
    settings[family] = strength
    if strength > 0 then table.insert(settings.faults, family) end
  end
  return settings
end

return faults
