-- SPDX-License-Identifier: MIT
--
-- `lariat --test`: Debian's busted, run by lariat, so that every `it`, `before_each` and `describe`
-- body is part of a task and may wait for the network. Adds what busted lacks: a time limit for
-- each test, an immediate failure of a test in a deadlock, and the failure of a test that leaves
-- tasks, sockets or children behind, or whose background tasks fail.
--
-- busted runs everything through busted.safe; the wrapper here makes a domain (leaks.lua) of each
-- test and of each setup. The event { "test", "end" } is held back until the domain has ended, so
-- that reporters get the final status.

local core = require "lariat.core"
local faults = require "lariat.internal.sim.faults"
local searchpath = require "lariat.internal.searchpath"
local simulations = require "lariat.internal.sim.settings"
local task = core.task
local testname = require "lariat.internal.test.name"
local leaks = require "lariat.internal.test.leaks"

local DEFAULT_LIMIT = 10 -- seconds
local MODULES = { "socket", "socket.unix", "lariat", "lariat.task", "lariat.test" }

local runner = {}

local function usage_error(message)
  io.stderr:write("lariat: ", message, "\n")
  os.exit(2)
end

-- Options -----------------------------------------------------------------------------------------

local function integer(name, text, least)
  local value = math.tointeger(tonumber(text))
  if value and value >= least then return value end
  usage_error(("--%s: %s expected, got '%s'"):format(name,
    least > 0 and "a positive integer" or "an integer", text))
end

local VALUES = {
  timeout = function(options, text)
    options.limit = tonumber(text)
    if not options.limit or options.limit ~= options.limit or options.limit < 0 then
      usage_error(("--timeout: seconds expected, got '%s'"):format(text))
    end
  end,
  seed = function(_, text) simulations.seed = integer("seed", text, math.mininteger) end,
  seeds = function(_, text) simulations.seeds = integer("seeds", text, 1) end,
  without = function(_, text)
    local families = {}
    for family in (text .. ","):gmatch "([^,]*)," do families[#families + 1] = family end
    local problem = faults.problem { without = families }
    if problem then usage_error("--without: " .. problem:gsub("^option 'without': ", "")) end
    simulations.without = families
  end,
  ["sim-worker"] = function(_, text) simulations.worker = integer("sim-worker", text, 1) end,
  ["sim-program"] = function(_, text) simulations.program = text end,
}

-- The options of busted that say where code is and how it is loaded. They are passed on to a worker
-- process, which is started in the same directory. true: takes a value, in the same word or the
-- next.
local INHERITED = {
  e = true, m = true, lpath = true, cpath = true, helper = true, Xhelper = true, loaders = true,
  C = true, directory = true, f = true, ["config-file"] = true, r = true, run = true,
  lazy = false, ["no-lazy"] = false, ["auto-insulate"] = false, ["no-auto-insulate"] = false,
}

-- Keeps the option at arg[i], if it is one of those. Returns how many words it has.
local function note_inherited(arg, i)
  local name, equals = arg[i]:match "^%-+([%w-]+)(=?)"
  local valued = INHERITED[name]
  if valued == nil then return 1 end
  local words = valued and equals == "" and 2 or 1
  table.move(arg, i, i + words - 1, #simulations.inherited + 1, simulations.inherited)
  return words
end

-- Removes lariat's own options from `arg`: --timeout=SECONDS (or two words) and the others. --seed
-- stays: it is the seed of busted's --shuffle as well.
local function take_options(arg)
  local options = { limit = DEFAULT_LIMIT * (tonumber(os.getenv "SCALE") or 1) }
  local i = 1
  while arg[i] do
    local name, equals, value = arg[i]:match "^%-%-([%l-]+)(=?)(.*)$"
    local flag = name and equals == "" and name:match "^(%l+)%-leaks$"
    if VALUES[name] then
      local words = equals == "" and 2 or 1
      VALUES[name](options, words == 2 and arg[i + 1] or value)
      if name == "seed" then
        i = i + words
      else
        table.move(arg, i + words, #arg + words, i)
      end
    elseif flag == "allow" or flag == "strict" then
      table.remove(arg, i)
      options[flag] = true
    else
      i = i + note_inherited(arg, i)
    end
  end
  simulations.limit = options.limit
  return options
end

-- Domains in busted -------------------------------------------------------------------------------

local SETUP = { setup = true, strict_setup = true, lazy_setup = true }
local STATUS = 5 -- the index of the status in safe_publish's arguments for a test's end

-- The problems found at the end of a domain, as text; nil: there are none.
local function problems(domain, options)
  local texts = leaks.finish(domain)
  local left = options.allow and {} or leaks.left(domain, options.strict)
  for _, text in ipairs(leaks.errors(domain)) do texts[#texts + 1] = text end
  if left[1] then
    texts[#texts + 1] = ("left behind:\n  %s\n(lariat --test --allow-leaks lets tests do that)")
      :format(table.concat(left, "\n  "))
  end
  return texts[1] and table.concat(texts, "\n")
end

local function check(domain, options)
  local ok, text = pcall(problems, domain, options)
  if not ok and text == task.cancelled then error(text, 0) end
  return text
end

local function publish(busted, status, element, text)
  local trace = {}
  for name, value in pairs(element.trace or {}) do trace[name] = value end
  trace.message, trace.traceback = text, ""
  local parent = busted.context.parent(element)
  busted.publish({ status, element.descriptor }, element, parent, text, trace)
end

-- The results so far, to be reported if a test cannot be stopped.
local counts = { success = 0, failure = 0, error = 0, pending = 0 }
local failures = {}

local function count(_, _, status)
  if counts[status] then counts[status] = counts[status] + 1 end
  return nil, true
end

local function keep_failure(busted)
  return function(element, _, message)
    local name = testname(busted, element)
    failures[#failures + 1] = ("\n%s:\n%s\n"):format(name, tostring(message))
    core.interrupt.remember(table.concat(failures))
    return nil, true
  end
end

local function watch_results(busted)
  busted.subscribe({ "test", "end" }, count)
  busted.subscribe({ "failure" }, keep_failure(busted))
  busted.subscribe({ "error" }, keep_failure(busted))
end

-- For a test that catches every error raised in it: ends the run here, with the usual report.
local function end_run(busted, safe_publish, element, text)
  local root = element
  while busted.context.parent(root) do root = busted.context.parent(root) end
  publish(busted, "error", element, text)
  safe_publish("test", { "test", "end" }, element, busted.context.parent(element), "error")
  safe_publish("suite", { "suite", "end" }, root, 1, 1)
  busted.publish { "exit" }
  io.stdout:flush()
end

-- The report that is written if no Lua code can run, because a function written in C does not
-- return.
local function emergency_report(busted, element)
  local trace = element.trace or {}
  return ("%s:%d: %s\nbefore it: %d successes, %d failures, %d errors, %d pending\n"):format(
    trace.short_src or "?", trace.currentline or 0, testname(busted, element), counts.success,
    counts.failure, counts.error, counts.pending)
end

-- Runs a test, from before_each to after_each; its end is published once its domain has ended.
local function run_test(busted, options, element, run)
  local domain = leaks.open()
  local safe_publish, held = busted.safe_publish, nil
  busted.safe_publish = function(descriptor, channel, subject, ...)
    if subject ~= element or channel[2] ~= "end" then
      return safe_publish(descriptor, channel, subject, ...)
    end
    held = table.pack(descriptor, channel, subject, ...)
    return true
  end
  local limit = options.limit
  local message = ("test exceeded its time limit of %g s"):format(limit)
  core.interrupt.limit(limit, message, emergency_report(busted, element), function()
    end_run(busted, safe_publish, element, message .. ", and could not be stopped")
  end)
  if options.strict then collectgarbage "stop" end -- so that a collection cannot hide a leak
  local results = table.pack(run())
  -- After Ctrl-C or SIGTERM the remaining tests are not run, and the summary is printed.
  if core.interrupt.ending() then busted.skipAll = true end
  local text = check(domain, options)
  if options.strict then collectgarbage "restart" end
  core.interrupt.limit(0)
  leaks.leave(domain)
  busted.safe_publish = safe_publish
  if text and held and held[STATUS] == "success" then
    publish(busted, "failure", element, text)
    held[STATUS] = "failure"
  elseif text then
    io.stderr:write("lariat: in a test that failed anyway: ", text, "\n") -- it may be the reason
  end
  if held then safe_publish(table.unpack(held, 1, held.n)) end
  return table.unpack(results, 1, results.n)
end

-- What a setup starts belongs to a domain of the block, which ends after the block's teardown.
local function run_setup(block, run)
  local domain = leaks.open()
  block.domains = block.domains or {}
  table.insert(block.domains, domain)
  local results = table.pack(run())
  leaks.leave(domain)
  return table.unpack(results, 1, results.n)
end

local function run_block(busted, options, block, run)
  local results = table.pack(run())
  local opened = block.domains or {}
  block.domains = nil
  for i = #opened, 1, -1 do
    local text = check(opened[i], options)
    if text then publish(busted, "error", block, text) end
  end
  return table.unpack(results, 1, results.n)
end

local WHOLE = { it = run_test, describe = run_block, file = run_block }

-- busted.safe is called for each block and each test as a whole, and inside that for its parts.
local function watch(busted, options)
  local safe, entered = busted.safe, {}
  busted.safe = function(descriptor, run, element)
    local function call() return safe(descriptor, run, element) end
    if SETUP[descriptor] then return run_setup(busted.context.parent(element), call) end
    local whole = WHOLE[descriptor]
    if not whole or entered[element] then return call() end
    entered[element] = true
    local results = table.pack(whole(busted, options, element, call))
    entered[element] = nil
    return table.unpack(results, 1, results.n)
  end
end

-- In a worker process of sim.it: runs only the chosen test.
local function choose(busted)
  local function chosen(_, run) return nil, run == simulations.chosen end
  for _, descriptor in ipairs { "it", "pending" } do
    busted.subscribe({ "register", descriptor }, chosen, { priority = 1 })
  end
end

-- A spec file finds the modules in its own folder, as a script does, and not those of other spec
-- files.
local function search_beside(busted)
  local forget = function() end
  busted.subscribe({ "file", "start" }, function(file)
    forget = searchpath.add(package, file.name)
  end)
  busted.subscribe({ "file", "end" }, function() forget() end)
end

-- busted's runner makes its instance and stores it in the module `busted`; this gets hold of it
-- there.
local function watch_instance(options)
  local metatable = getmetatable(require "busted")
  local configure = metatable.__call
  metatable.__call = function(self, busted)
    watch(busted, options)
    watch_results(busted)
    simulations.busted = busted
    local configured = configure(self, busted)
    search_beside(busted)
    if simulations.worker then choose(busted) end
    return configured
  end
end

-- Ignores `lua = "..."` in .busted and --lua, since the interpreter is this program.
local function ignore_lua()
  local make = require "busted.modules.cli"
  package.loaded["busted.modules.cli"] = function(...)
    local cli = make(...)
    local parse = cli.parse
    function cli:parse(args)
      return parse(self, table.move(args, 1, #args, 2, { [0] = args[0], "--ignore-lua" }))
    end
    return cli
  end
end

-- The path where a shell finds busted; just its name if it finds none.
local function busted_script()
  for folder in (os.getenv "PATH" or ""):gmatch "[^:]+" do
    local file = io.open(folder .. "/busted")
    if file then
      file:close()
      return folder .. "/busted"
    end
  end
  return "busted"
end

-- `arg` as `lua /usr/bin/busted ...` has it: the interpreter, busted's script, busted's arguments.
-- The interpreter is a full path: specs start it from other directories.
local function set_arg(arg)
  arg[-1], arg[0] = core.fork.program, busted_script()
  _G.arg = arg
end
local failed_outside = false -- there was an error outside of all tests

local function keep_error(err, traceback, title, failed)
  if leaks.keep_error(err, traceback, title, failed) then return end
  failed_outside = true
  io.stderr:write("lariat: ", title, title == "" and "" or ": ", traceback, "\n")
end

--- Runs busted over its arguments; ends the program with its exit status on failure.
---@param program string as the user calls it
---@param arg string[] which becomes the global of that name
function runner.run(program, arg)
  simulations.program = program
  set_arg(arg)
  local options = take_options(arg)
  -- busted loads modules anew for each file, but those of lariat must stay the same.
  for _, name in ipairs(MODULES) do require(name) end
  local ok, message = pcall(require, "busted.runner")
  if not ok then
    io.stderr:write("lariat: --test needs busted (Debian: lua-busted)\n", message, "\n")
    os.exit(1)
  end
  simulations.directory = require "pl.path".currentdir()
  ignore_lua()
  watch_instance(options)
  core.task.onerror(keep_error)
  core.on_deadlock(task.current())
  require "busted.runner" { standalone = false }
  if simulations.pending then
    io.stderr:write(simulations.pending)
    os.exit(simulations.PENDING)
  end
  if simulations.worker and not simulations.ran then
    io.stderr:write "lariat: the worker process has not found its test\n"
    os.exit(1)
  end
  os.exit(not failed_outside) -- this also ends tasks that tests have left behind
end

return runner
