-- SPDX-License-Identifier: MIT
--
-- The seeds of one test, in its worker process: runs each in a copy of the process, finds the
-- lowest seed that fails and the fewest families of faults with which it still fails, and reports
-- that.

local fork = require "lariat.internal.sim.fork"
local settings = require "lariat.internal.sim.settings"
local shell = require "lariat.internal.sim.shell"

local seeds = {}

local LADDER = 100 -- packets shown

-- The text that the test gave to busted's pending(), if it has called that.
local function pending_message(raised)
  local metatable = debug.getmetatable(raised)
  if not metatable or metatable.__type ~= "pending" then return nil end
  return tostring(raised.message or "")
end

-- In a copy: runs the body, and returns the parts of the result that can be sent to the parent.
local function run(options, body, seed, without, with_ladder)
  local copy = {}
  for name, value in pairs(options) do copy[name] = value end
  copy.seed, copy.without = seed, without
  local result = require "lariat.sim".try(copy, body)
  return {
    ok = result.ok, pending = pending_message(result.raised),
    error = result.error and tostring(result.error), faults = result.faults,
    hash = result.hash, events = result.events, time = result.time,
    ladder = with_ladder and result:ladder(LADDER) or nil,
  }
end

-- Shrinking: switches off one family after the other, and leaves it off if the run still fails.
local function shrink(outcome, without, again)
  local off, removed = table.move(without, 1, #without, 1, {}), {}
  for _, family in ipairs(outcome.faults or {}) do
    off[#off + 1] = family
    local smaller = again(off)
    if smaller.ok then
      off[#off] = nil
    else
      outcome, removed[#removed + 1] = smaller, family
    end
  end
  return outcome, off, removed
end

--- A seed that fails, or that was asked for.
---@class lariat.sim.Finding
---@field seed integer
---@field outcome table what its run came to: ok, pending, error, faults, hash, events, time,
--- ladder
---@field without string[] families that were off in that run
---@field removed string[] those of them that shrinking has found dispensable

--- What is to be run, and how.
---@class lariat.sim.Request
---@field from integer the first seed
---@field to integer the last one
---@field limit number seconds for each
---@field options lariat.sim.Options
---@field without string[] families of faults that stay off
---@field ladder boolean its one seed was asked for: shown with its ladder, also if it passes

--- Runs body on the seeds.
---@param request lariat.sim.Request
---@param body fun(net: lariat.sim.Network)
---@return lariat.sim.Finding? # nil if all is well
function seeds.run(request, body)
  local function attempt(from, to, without)
    return fork(from, to, function(seed)
      return run(request.options, body, seed, without, request.ladder)
    end, request.limit)
  end
  local seed, outcomes = attempt(request.from, request.to, request.without)
  if not seed then
    local only = request.ladder and outcomes[request.from]
    return only and { seed = request.from, outcome = only, without = {}, removed = {} } or nil
  end
  if outcomes[seed].pending then
    return { seed = seed, outcome = outcomes[seed], without = {}, removed = {} }
  end
  local outcome, without, removed = shrink(outcomes[seed], request.without, function(off)
    local _, again = attempt(seed, seed, off)
    return again[seed]
  end)
  return { seed = seed, outcome = outcome, without = without, removed = removed }
end

-- Text --------------------------------------------------------------------------------------------

--- The command that runs one seed of one test once more.
---@param finding lariat.sim.Finding
---@param pattern string that finds it
---@param file string
---@return string
function seeds.command(finding, pattern, file)
  local words = { settings.program, "--test", "--seed=" .. finding.seed }
  if finding.without[1] then
    words[#words + 1] = "--without=" .. table.concat(finding.without, ",")
  end
  table.move(settings.inherited, 1, #settings.inherited, #words + 1, words)
  words[#words + 1] = "--filter=" .. pattern
  words[#words + 1] = file
  return shell(words)
end

local function list(families)
  return families[1] and table.concat(families, ", ") or "none"
end

--- The report about a failing seed.
---@param finding lariat.sim.Finding
---@param command string
---@return string
function seeds.text(finding, command)
  local outcome = finding.outcome
  local message = outcome.error or "passes"
  if not message:find("seed " .. finding.seed .. ":", 1, true) then
    message = ("seed %d: %s"):format(finding.seed, message)
  end
  local lines = { message }
  if outcome.faults then
    local spare = finding.removed[1] and "; not needed: " .. list(finding.removed) or ""
    lines[#lines + 1] = ("faults: %s%s"):format(list(outcome.faults), spare)
  end
  if outcome.hash then
    lines[#lines + 1] = ("trace:  %s, %d events, %g s"):format(outcome.hash, outcome.events,
      outcome.time)
  end
  lines[#lines + 1] = "again:  " .. command
  if outcome.ladder then lines[#lines + 1] = "\n" .. outcome.ladder end
  return table.concat(lines, "\n")
end

return seeds
