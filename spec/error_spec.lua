-- SPDX-License-Identifier: MIT
--
-- No error is lost: what is printed, what counts for the exit status, what keeps its identity.

local lariat = require "lariat"
local task = require "lariat.task"
local run = require "spec.support.program"

-- What a script prints to standard error, and its exit status.
local function outcome(body)
  local script <close> = run.file("local task = require 'lariat.task'\n" .. body)
  local out, err, status = run.lariat { script.path }
  return err:gsub(script.path:gsub("%W", "%%%0"), "script"), status, out
end

describe("an error nobody joins", function()
  it("is printed at once, with its traceback and that of the spawns", function()
    local err, status, out = outcome [[
      local function fail() error "boom" end
      local function child() fail() end
      task.spawn({ name = "parent" }, function()
        task.spawn({ name = "child" }, child)
      end)
      task.sleep(0.005)
      print "the script goes on"]]
    assert.matches("^lariat: error in task child %(spawned at script:5%): script:2: boom\n", err)
    assert.matches("stack traceback:.-script:2: in .-script:3: in ", err)
    assert.matches("\nspawn traceback:\n\tscript:5\n\tscript:4\n$", err)
    assert.same({ 1, "the script goes on\n" }, { status, out })
  end)

  it("has the traceback of its own spawns, after hundreds of others", function()
    local err = outcome [[
      local function chain(n)
        if n == 0 then error "boom" end
        task.spawn(chain, n - 1)
      end
      local spawn = "task.spawn(function(f) task.spawn(f) end, ...)\n"
      load("local task = require 'lariat.task' " .. spawn:rep(300), "=many")(task.yield)
      task.sleep(0.001)
      task.spawn(chain, 2)
      task.sleep(0.001)
      load(("\n"):rep(250) .. "require 'lariat.task'.spawn(error, 'late')", "=many")()]]
    assert.matches("boom\n.-\nspawn traceback:\n\tscript:4\n\tscript:4\n\tscript:9\n", err)
    assert.matches("late\n.-\nspawn traceback:\n\tmany:251\n", err)
  end)

  it("of a task without a name is that of its function's line", function()
    local err = outcome [[
      task.spawn(function()
        error "boom"
      end)]]
    assert.matches("^lariat: error in task script:2 %(spawned at script:2%)", err)
  end)

  it("of any type is printed", function()
    for value, printed in pairs {
      ["{}"] = "(error object is a table value)", ["nil"] = "(error object is a nil value)",
      ["print"] = "(error object is a function value)", ["42"] = "42",
      ["setmetatable({}, { __tostring = function() return 'mine' end })"] = "mine",
    } do
      local err, status = outcome(("task.spawn(function() error(%s, 0) end)"):format(value))
      assert.matches(printed, err, 1, true)
      assert.equal(1, status)
    end
  end)

  it("is told whatever its __tostring does", function()
    for tostring, printed in pairs {
      ["error('in it', 0)"] = "(error object is a table value; __tostring failed: in it)",
      ["error {}"] = "(error object is a table value; __tostring failed: with an error that is",
      ["return 42"] = "(error object is a table value; __tostring failed: it returned no string)",
      ["task.sleep(1)"] = "(error object is a table value; __tostring failed: ",
    } do
      local object = ("setmetatable({}, { __tostring = function() %s end })"):format(tostring)
      for _, body in ipairs {
        "error(%s)",
        "task.spawn(function() error(%s) end)",
        "task.group(function(g) g:spawn(function() error(%s) end) end)",
        "require 'lariat'.onerror(function() error(%s) end) task.spawn(error, 'first')",
      } do
        local err, status = outcome(body:format(object))
        assert.matches(printed, err, 1, true)
        assert.equal(1, status)
      end
    end
  end)

  it("and its __tostring fails keeps its identity", function()
    local thrown = setmetatable({}, { __tostring = function() error "in it" end })
    local ok, err = pcall(task.group, function(g) g:spawn(error, thrown) end)
    assert.is_false(ok)
    assert.is_true(rawequal(thrown, err))
  end)

  it("has a traceback that ends at the script's frames", function()
    local body = "local function fail() error 'boom' end\nfail()"
    assert.equal([[
lariat: script:2: boom
stack traceback:
	[C]: in function 'error'
	script:2: in local 'fail'
	script:3: in main chunk
]], (outcome(body)))
    local err = outcome("task.timeout(9, task.group, function(g) " .. body .. " end)")
    assert.is_nil(err:match("main chunk\n.+"))
    err = outcome "task.spawn(function() local c <close> = setmetatable({}, {}) end)"
    assert.matches("script:2: in function <script:2>\nspawn traceback:\n\tscript:2\n$", err)
  end)

  it("by misuse has a traceback that begins with the function that the script called", function()
    local err = outcome "require 'socket'.connect('localhost', 1, { timeuot = 1 })"
    assert.matches("^lariat: script:2: bad argument #3 to 'connect' [^\n]*\nstack traceback:\n" ..
      "\tsocket:%d+: in function 'socket.connect'\n\tscript:2: in main chunk\n$", err)
  end)

  it("of the script is told as lua5.4 tells it", function()
    for _, value in ipairs { "{}", "nil", "true", "42", "print", "'text'",
      "setmetatable({}, { __tostring = function() return 'mine' end })" } do
      local script <close> = run.file(("error(%s)"):format(value))
      local stock <close> = assert(lariat.run { "lua5.4", script.path, stderr = "pipe" })
      local expected = stock.stderr:receive():gsub("^lua5.4: ", "lariat: ")
      local _, err = run.lariat { script.path }
      assert.equal(expected, err:match "^[^\n]*")
    end
  end)

  it("changes no exit status once a later join has raised it", function()
    local err, status = outcome [[
      local t = task.spawn(error, "boom", 0)
      task.yield() task.yield()
      assert(not pcall(t.join, t))]]
    assert.matches("boom", err)
    assert.equal(0, status)
  end)

  it("is told if the one that joins is cancelled instead", function()
    local err, status = outcome [[
      local failing = task.spawn(function() task.yield() error "boom" end)
      local joining = task.spawn(function() failing:join() end)
      task.yield()
      joining:cancel()
      joining:join()]]
    assert.matches("boom", err)
    assert.equal(1, status)
    err, status = outcome [[
      local event, joining = task.event(), nil
      local failing = task.spawn(function() event:wait() joining:cancel() error "boom" end)
      joining = task.spawn(function() failing:join() end)
      task.yield()
      event:set()
      joining:join()]]
    assert.matches("boom", err)
    assert.equal(1, status)
  end)

  it("is told although a task.wait sees the end", function()
    local err, status = outcome [[
      local t = task.spawn(function() task.yield() error "boom" end)
      assert(task.wait { t } == t)]]
    assert.matches("boom", err)
    assert.equal(1, status)
  end)

  it("is not printed if one that joins raises it, and is if that one does not handle it", function()
    local err, status = outcome [[
      local failing = task.spawn(function() task.yield() error "boom" end)
      print(pcall(failing.join, failing))]]
    assert.same({ "", 0 }, { err, status })
    err, status = outcome [[
      local failing = task.spawn(function() task.yield() error "boom" end)
      failing:join()]]
    assert.matches("boom", err)
    assert.equal(1, status)
  end)

  it("of a group is raised with the child's traceback and where it was spawned", function()
    local err, status = outcome [[
      local function fail() error "boom" end
      task.group(function(g)
        g:spawn(function() fail() end)
      end)]]
    assert.matches("^lariat: script:2: boom\nstack traceback:.-script:2: in .-script:4: in", err)
    assert.matches("\nspawn traceback:\n\tscript:4\n", err)
    assert.equal(1, status)
  end)

  it("goes to the function of onerror, with its task", function()
    local got
    local before = lariat.onerror(function(...) got = table.pack(...) end)
    local thrown = {}
    local t = task.spawn({ name = "failing" }, function() error(thrown) end)
    task.yield()
    task.yield()
    lariat.onerror(before)
    assert.equal(thrown, got[1])
    assert.matches("stack traceback:.*\nspawn traceback:\n\t.*error_spec.lua:", got[2])
    assert.matches("^error in task failing %(spawned at .*error_spec.lua:%d+%)$", got[3])
    assert.equal(t, got[4])
    assert.is_false((pcall(t.join, t)))
  end)

  it("in the function of onerror is printed, and so is the first", function()
    local err, status = outcome [[
      require "lariat".onerror(function() error "in onerror" end)
      task.spawn(error, "boom", 0)]]
    assert.matches("error in onerror:.*in onerror", err)
    assert.matches("boom", err)
    assert.equal(1, status)
  end)
end)

describe("an error that is no string keeps its identity", function()
  for name, through in pairs {
    join = function(thrown) task.spawn(error, thrown):join() end,
    ["a group"] = function(thrown) task.group(function(g) g:spawn(error, thrown) end) end,
    ["a group's body"] = function(thrown) task.group(function() error(thrown) end) end,
    race = function(thrown) task.race(function() error(thrown) end) end,
    all = function(thrown) task.all(function() error(thrown) end) end,
    timeout = function(thrown) task.timeout(1, error, thrown) end,
    shield = function(thrown) task.shield(1, error, thrown) end,
    ["a semaphore"] = function(thrown) task.semaphore(1):with(error, thrown) end,
    ["a group in a <close> variable"] = function(thrown)
      local g <close> = task.group()
      g:spawn(error, thrown)
    end,
  } do
    it("through " .. name, function()
      for _, thrown in ipairs { {}, 42, false, print } do
        local ok, err = pcall(through, thrown)
        assert.is_false(ok)
        assert.equal(thrown, err)
      end
    end)
  end
end)

describe("os.exit after an error nobody joined", function()
  for call, expected in pairs {
    ["os.exit(0)"] = 0, ["os.exit(true)"] = 0, ["os.exit()"] = 0, ["os.exit(3)"] = 3,
  } do
    it(call .. " is the exit status", function()
      for _, before in ipairs { "", "require 'lariat'.onerror(function() end)" } do
        local _, status = outcome(before .. " task.spawn(error, 'boom') task.yield() " .. call)
        assert.equal(expected, status)
      end
    end)
  end

  it("does not hide an error of the script itself", function()
    local _, status = outcome [[
      task.spawn(function()
        local c <close> = setmetatable({}, { __close = function() os.exit(0) end })
        task.sleep(1000)
      end)
      task.yield()
      error "boom"]]
    assert.equal(1, status)
  end)
end)

describe("a deadlock", function()
  it("lists each task: its name, who spawned it, where and for what it waits", function()
    local err, status = outcome [[
      local channel, t = task.channel(), nil
      t = task.spawn({ name = "reader" }, function()
        channel:receive()
      end)
      coroutine.wrap(function()
        t:join()
      end)()]]
    assert.matches("^lariat: deadlock: every task waits", err)
    assert.matches("task main [^\n]*waits in join at script:7 for task reader since", err)
    assert.matches("task reader %(spawned at script:3%) waits in channel receive at script:4", err)
    assert.equal(1, status)
  end)

  it("is found although a deadline passed before, and names a semaphore's wait", function()
    local err, status = outcome [[
      local permit = task.semaphore(1)
      task.timeout(0.001, task.sleep, 1000)
      task.timeout(1000, permit.acquire, permit)
      permit:acquire()]]
    assert.matches("^lariat: deadlock: every task waits", err)
    assert.matches("task main [^\n]*waits in semaphore at script:5", err)
    assert.equal(1, status)
  end)
end)
