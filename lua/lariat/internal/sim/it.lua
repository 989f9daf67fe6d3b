-- SPDX-License-Identifier: MIT
--
-- sim.it: a test on many seeds. In the process of `lariat --test` it is an ordinary test that
-- starts a worker process: the same program, with an exact state, which loads only this spec file
-- and runs only this test. So a seed runs the same way in the whole suite, alone, and after other
-- tests were removed. The worker runs setup and before_each, and then forks a copy of itself for
-- each seed.

local core = require "lariat.core"
local faults = require "lariat.internal.sim.faults"
local usage = require "lariat.internal.usage"
local seeds = require "lariat.internal.sim.seeds"
local settings = require "lariat.internal.sim.settings"
local testname = require "lariat.internal.test.name"

local SEEDS = 100 -- by default

-- The running test, in busted's terms ------------------------------------------------------------

-- A pattern for busted's --filter that matches only the running test.
local function pattern()
  local name = testname(settings.busted, settings.busted.context.get())
  return "^" .. name:gsub("[%^%$%(%)%%%.%[%]%*%+%-%?]", "%%%0") .. "$"
end

local function file()
  return settings.busted.getFile(settings.busted.context.get()).name
end

-- In the worker ----------------------------------------------------------------------------------

-- The options for sim.try. A test that names no faults gets swarm mode: each seed turns on some.
local function for_try(options)
  local copy = {}
  for name, value in pairs(options) do copy[name] = value end
  copy.seeds, copy.timeout = nil, nil
  if not faults.named(options) then copy.swarm = true end
  if copy.echo == nil then copy.echo = settings.seed ~= nil end -- not the output of many seeds
  return copy
end

local function run_seeds(place, options, body)
  core.interrupt.limit(0) -- each copy has its own
  settings.ran = true
  local seed = settings.seed
  local finding = seeds.run({
    from = seed or 1, to = seed or settings.seeds or options.seeds or SEEDS,
    limit = options.timeout or settings.limit, options = for_try(options), ladder = seed ~= nil,
    without = settings.without,
  }, body)
  if not finding then return end
  if finding.outcome.pending then
    settings.pending = finding.outcome.pending
    return
  end
  local command = seeds.command(finding, pattern(), file())
  local text = place .. ": " .. seeds.text(finding, command)
  if not finding.outcome.ok then require "busted".fail(text, 0) end
  io.stderr:write(text, "\n")
end

-- In the process of `lariat --test` --------------------------------------------------------------

local function worker_command(line)
  local command = { core.fork.program, "--test", "--timeout=" .. settings.limit,
    "--sim-worker=" .. line, "--sim-program=" .. settings.program,
    "--output=lariat.internal.sim.quiet", "--repeat=1", "--filter=" .. pattern(),
    stdout = "inherit", stderr = "pipe", cwd = settings.directory }
  if settings.seed then table.insert(command, "--seed=" .. settings.seed) end
  if settings.seeds then table.insert(command, "--seeds=" .. settings.seeds) end
  if settings.without[1] then
    table.insert(command, "--without=" .. table.concat(settings.without, ","))
  end
  table.move(settings.inherited, 1, #settings.inherited, #command + 1, command)
  table.insert(command, file())
  return command
end

local function run_worker(place, line)
  core.interrupt.limit(0)
  io.stdout:flush()
  local child <close> = assert(require "lariat".run(worker_command(line)))
  local told = child.stderr:receive "*a" or ""
  local how, status = child:wait()
  if how == "exit" and status == 0 then
    io.stderr:write(told)
  elseif how == "exit" and status == settings.PENDING then
    settings.busted.pending(place .. ": " .. told)
  else
    if told == "" then told = ("%s: the worker ended by %s %s"):format(place, how, status) end
    require "busted".fail((told:gsub("\n+$", "")), 0)
  end
end

-- The definition ---------------------------------------------------------------------------------

local function wrong(argument, message, ...)
  usage.argument(argument, "it", message, ...)
end

local function check(name, options, body)
  if not settings.busted then usage.error("sim.it: this is not `lariat --test`") end
  if type(name) ~= "string" then wrong(1, "string expected, got %s", type(name)) end
  if type(options) ~= "table" then wrong(2, "table of options expected, got %s", type(options)) end
  if type(body) ~= "function" then wrong(3, "function expected, got %s", type(body)) end
  if options.seed ~= nil then wrong(2, "option 'seed': the seeds are those from 1 to 'seeds'") end
  local problem = faults.problem(options)
  if problem then wrong(2, "%s", problem) end
end

--- Defines a test that runs body(net) as sim.run does, once for each seed from 1 to options.seeds.
---@param name string
---@param options? lariat.sim.Options and `seeds` (default 100), `timeout` (seconds for each seed)
---@param body fun(net: lariat.sim.Network)
return function(name, options, body)
  if body == nil and type(options) == "function" then options, body = {}, options end
  check(name, options, body)
  local where = debug.getinfo(2, "Sl")
  local line = where.currentline
  local place = ("%s:%d"):format(where.short_src, line)
  local test = function() run_worker(place, line) end
  if settings.worker then
    if line ~= settings.worker then return end
    test = function() run_seeds(place, options, body) end
    settings.chosen = test
  end
  return require "busted".it(name, test) -- a tail call: busted shows the line of our caller
end
