-- SPDX-License-Identifier: MIT
--
-- sim.check: is a simulation exact? Runs one seed twice, in two copies of this process, and
-- compares the traces. A difference comes from outside of the simulation: a real clock, a random
-- number that does not come from the seed, a C module that depends on addresses.

local faults = require "lariat.internal.sim.faults"
local fork = require "lariat.internal.sim.fork"
local usage = require "lariat.internal.usage"
local LIMIT = 10 -- seconds for each run, by default
local CONTEXT = 3 -- lines shown before the first that differs
local SHOWN = 4 -- and from there on

local function first_difference(a, b)
  for i = 1, math.max(#a, #b) do
    if a[i] ~= b[i] then return i end
  end
end

local function excerpt(title, lines, at)
  local shown = { title }
  for i = math.max(1, at - CONTEXT), math.min(#lines, at + SHOWN - 1) do
    shown[#shown + 1] = ("%s %6d  %s"):format(i < at and " " or ">", i, lines[i])
  end
  if at > #lines then shown[#shown + 1] = ("> %6d  (the end)"):format(at) end
  return table.concat(shown, "\n")
end

local function difference(seed, one, other)
  local text = "seed %d: two runs differ: trace %s and trace %s"
  text = text:format(seed, one.hash, other.hash)
  local at = first_difference(one.lines, other.lines)
  if not at then return text .. "\nthe packets are the same; what is in them is not" end
  return table.concat({ text, excerpt("the one:", one.lines, at),
    excerpt("the other:", other.lines, at) }, "\n")
end

-- In a copy: runs the seed and returns its trace, whether the run failed or not.
local function run(options, body)
  local result = require "lariat.sim".try(options, body)
  return { ok = true, hash = result.hash, lines = result.lines and result:lines() or {} }
end

--- Runs the seed twice, and compares the hashes of the traces.
---@param seed integer
---@param options lariat.sim.Options and `timeout`, in seconds for each run
---@param body fun(net: lariat.sim.Network)
---@return true? # nil if they differ
---@return string? message what differs, or why one of the runs has not come to an end
return function(seed, options, body)
  if math.type(seed) ~= "integer" then usage.type(1, "check", "integer", seed) end
  if type(options) ~= "table" then usage.type(2, "check", "table of options", options) end
  if type(body) ~= "function" then usage.type(3, "check", "function", body) end
  local problem = faults.problem(options)
  if problem then usage.argument(2, "check", "%s", problem) end
  local seeded = {}
  for name, value in pairs(options) do seeded[name] = value end
  seeded.seed = seed
  local limit = options.timeout or LIMIT
  local failed, outcomes = fork(1, 2, function() return run(seeded, body) end, limit)
  if failed then return nil, ("seed %d: %s"):format(seed, outcomes[failed].error) end
  local one, other = outcomes[1], outcomes[2]
  if one.hash == other.hash then return true end
  return nil, difference(seed, one, other)
end
