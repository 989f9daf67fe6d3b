-- SPDX-License-Identifier: MIT
--
-- sim.it and sim.check: many seeds in processes of their own, what failures say, and how they are
-- run again. The simulation itself is a stand-in here, whose outcome each test chooses.

local run = require "spec.support.program"
local lariat = require "lariat"

local SLOW = math.min(tonumber(os.getenv "SCALE") or 1, 4)

-- A simulation that calls its body with the options, and fails if that raises.
local STAND_IN = [==[
  local FAMILIES = { "loss", "delay", "split" }
  local function is_on(options, family)
    for _, off in ipairs(options.without or {}) do
      if off == family then return false end
    end
    return true
  end
  local function try(options, body)
    local on = {}
    for _, family in ipairs(FAMILIES) do
      if is_on(options, family) then on[#on + 1] = family end
    end
    options.on = "," .. table.concat(on, ",") .. ","
    local ok, message = xpcall(body, debug.traceback, options)
    return {
      ok = ok, error = not ok and message or nil, seed = options.seed, faults = on,
      hash = ("%014x%02x"):format(options.seed, #on), events = 3, time = 1.5,
      ladder = function() return "the ladder\n" end,
      lines = function() return { "first", "second " .. (options.line or ""), "third" } end,
    }
  end
  package.loaded["lariat.sim"] = { try = try }
  local sim = { it = require "lariat.sim.it", check = require "lariat.sim.check" }
]==]

-- On one line, so that lines in messages are those of the content.
local HEAD = STAND_IN:gsub("\n%s*", " ")

-- Runs a spec file with this content: output, exit status, errors printed, and its path.
local function test_with(arguments, content)
  local spec <close> = run.file(HEAD .. content, "_spec.lua")
  local all = { "--test", "-o", "plainTerminal" }
  table.move(arguments, 1, #arguments, #all + 1, all)
  table.insert(all, spec.path)
  local out, err, status = run.lariat(all)
  return out, status, err, spec.path
end

local function test(content)
  return test_with({}, content)
end

local function count(text, pattern)
  return select(2, text:gsub(pattern, ""))
end

describe("sim.it", function()
  it("runs the body once for each seed, in a process of its own", function()
    local out, status, err = test [[
      local times = 0
      sim.it("counts", { seeds = 7 }, function(options)
        times = times + 1
        print("seed " .. options.seed .. ", time " .. times)
      end)
    ]]
    for seed = 1, 7 do assert.matches(("seed %d, time 1\n"):format(seed), out) end
    assert.equal(7, count(out, "seed %d"))
    assert.matches("1 success / 0 failures / 0 errors", out)
    assert.same({ 0, "" }, { status, err })
  end)

  it("runs a hundred seeds with all faults if it says nothing else", function()
    local out, status = test [[
      sim.it("counts", function(options) print(options.swarm, options.seeds, options.timeout) end)
    ]]
    assert.equal(100, count(out, "true\tnil\tnil\n"))
    assert.equal(0, status)
  end)

  it("reports the lowest seed that fails, though others fail sooner", function()
    local out, status = test [[
      sim.it("fails", { seeds = 200 }, function(options)
        if options.seed == 7 then
          local till = os.clock() + 0.1
          while os.clock() < till do end
        end
        if options.seed >= 7 then error("not this one") end
      end)
    ]]
    assert.matches("0 successes / 1 failure / 0 errors", out)
    assert.matches("_spec%.lua:1: seed 7: [^\n]*_spec%.lua:6: not this one\nstack traceback:", out)
    assert.equal(1, count(out, "not this one"))
    assert.matches("trace:  00000000000007%x%x, 3 events, 1.5 s\n", out)
    assert.equal(1, status)
  end)

  it("finds the fewest families of faults with which the seed still fails", function()
    local out = test [[
      sim.it("needs two", { seeds = 9 }, function(options)
        if options.on:find ",loss," and options.on:find ",split," then error "both" end
      end)
      sim.it("needs none", { seeds = 9 }, function() error "always" end)
    ]]
    assert.matches("faults: loss, split; not needed: delay\ntrace:  0000000000000102", out)
    assert.matches("again:  %S+ %-%-test %-%-seed=1 %-%-without=delay ", out)
    assert.matches("faults: none; not needed: loss, delay, split\ntrace:  0000000000000100", out)
    assert.matches("again:  %S+ %-%-test %-%-seed=1 %-%-without=loss,delay,split ", out)
  end)

  it("prints the one command that runs the seed again, which shows its packets, too", function()
    local spec <close> = run.file(HEAD .. [[
      describe("a (block)", function()
        it("it's 100% [odd]", function() print "not run again" end)
        sim.it("it's 100% [odd]", { seeds = 9 }, function(options)
          if options.seed == 4 and options.on:find "delay" then error "here" end
        end)
        sim.it("it's 100% [odd] x", function() print "not run again either" end)
      end)
    ]], "_spec.lua")
    local out = run.lariat { "--test", "--lpath=/a path/?.lua", spec.path }
    local command = out:match "again:  ([^\n]*)"
    assert.matches("--without=loss,split", command, 1, true)
    assert.matches("'--lpath=/a path/?.lua'", command, 1, true)
    local child <close> = lariat.run { "sh", "-c", "exec " .. command }
    local again = child.stdout:receive "*a"
    assert.same({ "exit", 1 }, { child:wait() })
    for _, line in ipairs { "seed 4: [^\n]*_spec%.lua:4: here\n", "\ntrace:  %x+[^\n]*" } do
      assert.equal(out:match(line), again:match(line))
    end
    assert.matches("\n\nthe ladder", again)
    assert.equal(1, count(again, "not run again"))
    assert.is_nil(out:find "the ladder")
  end)

  it("shows a seed that was asked for, though it passes", function()
    local out, status, err = test_with({ "--seed=5" }, [[
      sim.it("passes", function(options) print("seed " .. options.seed) end)
    ]])
    assert.matches("^seed 5\n", out)
    assert.equal(0, status)
    assert.matches("_spec%.lua:1: seed 5: passes\n.*the ladder", err)
  end)

  it("outlives a seed that crashes, hangs or leaves", function()
    local spec = [[
      sim.it("suffers", { seeds = 9, timeout = %s }, function(options)
        if options.seed == 3 then %s end
      end)
      it("goes on", function() end)
    ]]
    for code, message in pairs {
      ["os.execute 'kill -ABRT $PPID'"] = "seed 3: killed by SIGABRT\n",
      ["while true do end"] = "seed 3: did not end within 0.3 s\n",
      ["pcall(function() while true do end end) while true do end"] =
        "seed 3: did not end within 0.3 s\n",
      ["require 'lariat.core'.fork.leave ''"] = "seed 3: ended by itself, with exit status 0\n",
    } do
      local out, status = test(spec:format(message:find "within" and 0.3 or 60, code))
      assert.matches(message, out)
      assert.matches("1 success / 1 failure / 0 errors", out)
      assert.equal(1, status)
    end
  end)

  it("limits the time of each seed, not of all", function()
    local out, status = test_with({ "--timeout=" .. 1.2 * SLOW }, ([[
      sim.it("takes long in all", { seeds = 4 * require "lariat.core".fork.cores }, function()
        require "socket".sleep(0.4 * %d)
      end)
    ]]):format(SLOW))
    assert.matches("1 success / 0 failures / 0 errors", out)
    assert.equal(0, status)
    out, status = test_with({ "--timeout=0.3" }, [[
      sim.it("takes too long", function() while true do end end)
    ]])
    assert.matches("0 successes / 1 failure / 0 errors", out)
    assert.matches("seed 1: did not end within 0.3 s", out)
    assert.equal(1, status)
  end)

  it("has the setup and before_each of its blocks, and no other test's", function()
    local out, status = test [[
      describe("outer", function()
        local made = {}
        setup(function() made.setup = true end)
        before_each(function() made.before = (made.before or 0) + 1 end)
        it("is somebody else", function() made.other = true print "other" end)
        describe("inner", function()
          before_each(function() made.inner = true end)
          sim.it("sees them", { seeds = 3 }, function()
            assert(made.setup and made.before == 1 and made.inner and not made.other)
          end)
        end)
      end)
    ]]
    assert.matches("2 successes / 0 failures / 0 errors", out)
    assert.equal(1, count(out, "other"))
    assert.equal(0, status)
  end)

  it("fails when the worker's setup does", function()
    local out, status = test [[
      local function is_worker() return require "lariat.sim.settings".worker end
      describe("a", function()
        before_each(function() if is_worker() then error "no such luck" end end)
        sim.it("is not reached", function() end)
      end)
    ]]
    assert.matches("0 successes / 1 failure / 0 errors", out)
    assert.matches("no such luck", out)
    assert.equal(1, status)
  end)

  it("may stand in a loop, on one line, with one name", function()
    local out, status = test [[
      for i = 1, 3 do
        sim.it("number " .. i, { seeds = 2 }, function() print("number " .. i) end)
      end
      it("number 2", function() print "mine" end)
    ]]
    for i = 1, 3 do assert.equal(2, count(out, "number " .. i .. "\n")) end
    assert.equal(1, count(out, "mine"))
    assert.matches("4 successes / 0 failures / 0 errors", out)
    assert.equal(0, status)
  end)

  it("takes --seeds and --without from the command line", function()
    local content = [[
      sim.it("counts", { seeds = 50 }, function(options) print("faults " .. options.on) end)
    ]]
    local out, _, err = test_with({ "--seeds=1", "--without=loss,split" }, content)
    assert.equal(1, count(out, "faults ,delay,\n"))
    assert.equal("", err)
    out = test_with({ "--seeds", "2", "--without", "delay" }, content)
    assert.equal(2, count(out, "faults ,loss,split,\n"))
    assert.equal(2, count(out, "faults"))
  end)

  it("has options that are checked", function()
    for _, case in ipairs {
      { "--seed=x", "--seed: an integer expected, got 'x'" },
      { "--seed=1.5", "--seed: an integer expected" },
      { "--seeds=0", "--seeds: a positive integer expected, got '0'" },
      { "--seeds=", "--seeds: a positive integer expected, got ''" },
      { "--without=rain", "--without: 'rain' is none of loss, " },
      { "--without=", "--without: '' is none of loss, " },
    } do
      local _, status, err = test_with({ case[1] }, "")
      assert.equal(2, status)
      assert.matches("lariat: " .. case[2], err, 1, true)
    end
  end)

  it("hands busted's -f, -r, -e and -C to its worker and to the command that repeats it", function()
    local folder = os.tmpname()
    os.remove(folder)
    local function write(name, text)
      local file <close> = assert(io.open(folder .. "/" .. name, "w"))
      file:write(text)
    end
    assert(os.execute(("mkdir -p '%s/inner/lib'"):format(folder)))
    local remove <close> = setmetatable({}, { __close = function()
      os.execute(("rm -r '%s'"):format(folder))
    end })
    assert(remove)
    write("conf.lua", "return { special = { lpath = './lib/?.lua', ['repeat'] = 2 } }")
    write("inner/lib/local_module.lua", "return 'found'")
    write("inner/one_spec.lua", HEAD .. [[
      local found = require "local_module"
      sim.it("sees them", { seeds = 2 }, function(options)
        assert.same({ "found", 17 }, { found, MARK })
        if options.seed == 2 then error "on purpose" end
      end)
    ]])
    local child <close> = assert(lariat.run { run.path, "--test", "-o", "plainTerminal", "-f",
      "conf.lua", "--run=special", "-C", "inner", "-e", "MARK = 17", "one_spec.lua", cwd = folder,
      stdout = "pipe", stderr = "stdout" })
    local out = child.stdout:receive "*a"
    child:wait()
    assert.matches("seed 2: [^\n]*on purpose", out)
    local command = assert(out:match "again:  ([^\n]*)")
    local again <close> = assert(lariat.run { "sh", "-c", command, cwd = folder })
    assert.matches("seed 2: [^\n]*on purpose", again.stdout:receive "*a")
    again:wait()
  end)

  it("is pending if the body says so, in whatever host", function()
    local spec <close> = run.file([[
      local sim = require "lariat.sim"
      sim.it("is for later", { seeds = 9 }, function() pending "not yet written" end)
      sim.it("is for later, too", { seeds = 9 }, function(net)
        net:client("client", function() pending "nor this" end)
      end)
      sim.it("sometimes", { seeds = 9 }, function()
        if require "lariat.sim".network() and math.random(3) == 3 then pending "by chance" end
      end)
      sim.it("passes", { seeds = 2 }, function() end)
    ]], "_spec.lua")
    local out, err, status = run.lariat { "--test", "-o", "plainTerminal", spec.path }
    assert.matches("1 success / 0 failures / 0 errors / 3 pending", out)
    for _, message in ipairs { "not yet written", "nor this", "by chance" } do
      assert.matches("_spec.lua:%d+: " .. message .. "\n", out)
    end
    assert.same({ 0, "" }, { status, err })
  end)

  it("raises on misuse, at the line of the call", function()
    for code, message in pairs {
      ["sim.it()"] = "bad argument #1 to 'it' (string expected, got nil)",
      ["sim.it('x')"] = "bad argument #2 to 'it' (table of options expected, got nil)",
      ["sim.it('x', {})"] = "bad argument #3 to 'it' (function expected, got nil)",
      ["sim.it('x', { seeds = 0 }, print)"] = "option 'seeds': a positive integer expected",
      ["sim.it('x', { seeds = 'a' }, print)"] = "option 'seeds': a positive integer expected",
      ["sim.it('x', { timeout = -1 }, print)"] = "option 'timeout': seconds expected",
      ["sim.it('x', { seed = 1 }, print)"] = "option 'seed': the seeds are those from 1",
      ["sim.it('x', { rain = 1 }, print)"] = "no such option 'rain'",
    } do
      local out, status = test("\n" .. code)
      assert.matches("_spec.lua:2: ", out, 1, true)
      assert.matches(message, out, 1, true)
      assert.equal(1, status)
    end
    local _, err, status = run.lariat { "-e", HEAD .. "sim.it('x', {}, print)" }
    assert.equal(1, status)
    assert.matches("sim.it: this is not `lariat --test`", err, 1, true)
  end)

  it("leaves no process behind when it is interrupted", function()
    local spec <close> = run.file(HEAD .. [[
      sim.it("takes long", function() print "begun" while true do end end)
    ]], "_spec.lua")
    local child <close> = run.start { "--test", spec.path }
    assert.equal("begun", child.stdout:receive())
    child:kill "TERM"
    assert.is_string((child.stdout:receive "*a")) -- ends when the last of them has gone
    assert.same({ "signal", "TERM" }, { child:wait() })
  end)
end)

describe("sim.check", function()
  local function check(code)
    local out, err, status = run.lariat { "-e", HEAD .. "print(sim.check(" .. code .. "))" }
    assert.same({ "", 0 }, { err, status })
    return out
  end

  it("says that a seed gives the same trace twice", function()
    assert.equal("true\n", check "3, {}, print and function() end")
    assert.equal("true\n", check "3, {}, function() error 'failing is no matter' end")
  end)

  it("shows both hashes and the first packets that differ", function()
    local out = check [[3, {}, function(options)
      options.line = io.open("/proc/self/stat"):read "n"
      options.seed = options.line
    end]]
    assert.matches("^nil\tseed 3: two runs differ: trace %x+ and trace %x+\n", out)
    assert.matches("the one:\n +1  first\n> +2  second %d+\n> +3  third\n", out)
    assert.matches("the other:\n +1  first\n> +2  second %d+\n> +3  third\n", out)
  end)

  it("says why a run did not end", function()
    assert.equal("nil\tseed 3: killed by SIGABRT\n",
      check "3, {}, function() os.execute 'kill -ABRT $PPID' end")
    assert.equal("nil\tseed 3: did not end within 0.2 s\n",
      check "3, { timeout = 0.2 }, function() while true do end end")
  end)

  it("leaves what this process waits for as it is", function()
    local out, err, status = run.lariat { "-e", HEAD .. [[
      local task = require "lariat.task"
      local child <close> = require "lariat".run { "cat", stdin = "pipe" }
      local reading = task.spawn(function() return child.stdout:receive() end)
      task.sleep(0)
      print(sim.check(3, {}, function() child.stdout:close() end))
      child.stdin:send "still there\n"
      print((task.timeout(5, reading.join, reading)))
    ]] }
    assert.same({ "true\nstill there\n", "", 0 }, { out, err, status })
  end)

  it("raises on misuse", function()
    local _, err, status = run.lariat { "-e", HEAD .. "sim.check('3', {}, print)" }
    assert.equal(1, status)
    assert.matches("bad argument #1 to 'check' (integer expected, got string)", err, 1, true)
  end)
end)
