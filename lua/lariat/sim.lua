-- SPDX-License-Identifier: MIT
--
-- The module `lariat.sim`: scripts on a network in memory, where a seed decides what goes wrong and
-- time is virtual. The network is in C (src/sim/sim.h); here are the options, the hosts, and what a
-- run comes to.

local core = require "lariat.core"
local faults = require "lariat.internal.sim.faults"
local ladder = require "lariat.internal.sim.ladder"
local usage = require "lariat.internal.usage"
local network = require "lariat.internal.sim.network"
local program = require "lariat.internal.sim.program"

-- These modules are loaded before the first run. If a run loaded them, its objects would have other
-- addresses than those of later runs, which find the modules loaded.
for _, name in ipairs { "socket", "socket.unix", "lariat", "lariat.task" } do require(name) end

local simulation = core.sim

local sim = {}
local present -- the network of the run under way

-- Results -----------------------------------------------------------------------------------------

--- The result of a run.
---@class lariat.sim.Result
---@field ok boolean
---@field error? string why it failed
---@field raised? any the error's value, if one was raised
---@field seed integer
---@field faults string[] the families of faults that were on
---@field hash string of the trace: 16 hexadecimal digits
---@field events integer
---@field time number seconds, virtual
local result = {}
result.__index = result
result.__name = "simulation's result"

local function check_last(self, name, last)
  usage.check_self(self, result, name)
  if last ~= nil and (math.type(last) ~= "integer" or last < 0) then
    usage.argument(1, name, "number of packets expected: an integer, not negative")
  end
end

--- Every packet of the run, in the order of sending.
---@return table[]
function result:trace()
  usage.check_self(self, result, "trace")
  return simulation.trace.list(self.packets)
end

--- The trace as text: a column for each host, an arrow for each packet.
---@param last? integer how many packets, the last ones; nil: all
---@return string
function result:ladder(last)
  check_last(self, "ladder", last)
  return table.concat(self:lines(last), "\n") .. "\n"
end

--- The lines of that text.
---@param last? integer
---@return string[]
function result:lines(last)
  check_last(self, "lines", last)
  return ladder.lines(self:trace(), simulation.trace.names(self.packets), last)
end

-- Running -----------------------------------------------------------------------------------------

-- The handler of errors that nobody joins: they end the run, unless the host's script has set an
-- onerror of its own.
local function on_error(net)
  return function(err, traceback, title, task)
    local id, name = simulation.current()
    local own = network.onerror_of(net, id)
    if own then return own(err, traceback, title, task) end
    net.raised = net.raised == nil and err or net.raised
    simulation.stop(("host '%s' failed after %.6f s: %s%s"):format(
      name, simulation.time(), title == "" and "" or title .. ": ", traceback))
  end
end

local function run(options, body)
  local net = network.new(options)
  local settings = faults.settings(options)
  local before = core.task.onerror(on_error(net))
  local restore, random = program.forbid(_G), math.random(0)
  math.randomseed(settings.seed)
  present = net
  local ok, failure, packets, events, time = pcall(simulation.run, settings, function()
    return network.supervise(net, body)
  end)
  present = nil
  math.randomseed(random)
  restore()
  core.task.onerror(before)
  if not ok then error(failure, 0) end
  if failure then failure = ("seed %d: %s"):format(settings.seed, failure) end
  return setmetatable({
    ok = failure == nil, error = failure, raised = failure and net.raised,
    seed = settings.seed, faults = settings.faults,
    hash = simulation.trace.hash(packets), packets = packets, events = events, time = time,
  }, result)
end

local function check(name, options, body)
  if simulation.running() then usage.error("a simulation is running already") end
  if not usage.is_table(options) then usage.type(1, name, "table of options", options) end
  if type(body) ~= "function" then usage.type(2, name, "function", body) end
  local problem = faults.problem(options)
  if problem then usage.argument(1, name, "%s", problem) end
end

--- As run, but an uncaught error in a host is not raised: it is in the result.
---@param options lariat.sim.Options
---@param body fun(net: lariat.sim.Network)
---@return lariat.sim.Result
function sim.try(options, body)
  check("try", options, body)
  return run(options, body)
end

--- Runs body on a host named "world" of a network of its own, until it and all clients have ended.
--- Raises an uncaught error of any host, with the seed.
---@param options lariat.sim.Options
---@param body fun(net: lariat.sim.Network)
---@return lariat.sim.Result
function sim.run(options, body)
  check("run", options, body)
  local outcome = run(options, body)
  if not outcome.ok then error(outcome.error, 0) end
  return outcome
end

--- The network of the run under way, by sim.run or by `lariat --sim`.
---@return lariat.sim.Network? # nil: no simulation is running
function sim.network()
  return present
end

sim.it = require "lariat.internal.sim.it"
sim.check = require "lariat.internal.sim.check"

return usage.module("lariat.sim", sim)
