-- SPDX-License-Identifier: MIT
--
-- Simulations that have to fail: bugs planted to see whether the simulated network finds them.

local assert = require "luassert"
local sim = require "lariat.sim"

local simulation = {}

local SEEDS = 100 -- within which a bug has to be found

local function try(seed, options, body)
  local copy = { seed = seed }
  for name, value in pairs(options) do copy[name] = value end
  return sim.try(copy, body)
end

--- Asserts that one of the seeds makes `body` fail, and makes it fail again by the same packets.
---@param options lariat.sim.Options
---@param body fun(net: lariat.sim.Network)
---@return lariat.sim.Result
function simulation.finds(options, body)
  for seed = 1, SEEDS do
    local found = try(seed, options, body)
    if not found.ok then
      local again = try(seed, options, body)
      assert.is_false(again.ok)
      assert.equal(found.hash, again.hash)
      return found
    end
  end
  error(("none of %d seeds has found the bug"):format(SEEDS), 2)
end

return simulation
