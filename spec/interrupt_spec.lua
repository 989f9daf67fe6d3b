-- SPDX-License-Identifier: MIT
--
-- Interruptions: one signal, one Ctrl-C and a test's time limit have an effect wherever the program
-- is, and leave what the script has set up as it was.

local socket = require "socket"
local peers = require "spec.support.peers"
local run = require "spec.support.program"

local SCALE = tonumber(os.getenv "SCALE") or 1

-- guard(name): a value for a `<close>` variable that prints its name; `spinning`: one without end.
local GUARDS = [[
  local task = require "lariat.task"
  local function guard(name)
    return setmetatable({}, { __close = function() print("closed " .. name) end })
  end
  local function spin() while true do end end
  local spinning = setmetatable({}, { __close = spin })
  local function holding(value, f)
    return coroutine.create(function() local held <close> = value f() end)
  end
]]

local function lines(text)
  local set = {}
  for line in text:gmatch "[^\n]+" do set[line] = true end
  return set
end

-- Starts the script, and waits until it says that it is there.
local function started(body)
  local script <close> = run.file(GUARDS .. body)
  local child = run.start { script.path }
  assert.equal("ready", (child.stdout:receive()))
  return child
end

local READY = " print 'ready' io.stdout:flush() "

-- What it prints from now on, how it ends, and what it prints to standard error.
local function ending(child)
  child.stdout:settimeout(30 * SCALE, "t")
  local out, message = child.stdout:receive "*a"
  if not out and message ~= "closed" then
    child:kill "KILL"
    error("it goes on: " .. message, 2)
  end
  local _, what = child:wait()
  return lines(out or ""), what, child.stderr:receive "*a" or ""
end

-- Starts all of them, and sends the signal if there is one, so that they take their time together.
local function together(scripts, start, signal)
  local children = {}
  for place, code in pairs(scripts) do children[place] = start(code) end
  for _, child in pairs(signal and children or {}) do child:kill(signal) end
  return children
end

local function close(children)
  for _, child in pairs(children) do child:close() end
end

describe("SIGTERM reaches", function()
  local places, children = {
    ["what coroutine.close runs"] = [[
      local co = holding(spinning, coroutine.yield)
      coroutine.resume(co)]] .. READY .. "coroutine.close(co)",
    ["what coroutine.close of a waiting coroutine runs"] = [[
      local co = holding(spinning, function() task.sleep(1000) end)
      task.spawn(coroutine.resume, co)
      task.yield()]] .. READY .. "coroutine.close(co)",
    ["what a failed wrap runs"] = [[
      local f = coroutine.wrap(function() local held <close> = spinning error "on purpose" end)]]
      .. READY .. "f()",
    ["a loop around pcall"] = READY .. "while true do pcall(spin) end",
    ["a loop around pcall and a wait"] = READY .. "while true do pcall(task.sleep, 1000) end",
    ["a loop around pcall and a coroutine"] =
      READY .. "while true do pcall(coroutine.wrap(spin)) end",
    ["a loop around pcall in a coroutine"] =
      READY .. "coroutine.wrap(function() while true do pcall(spin) end end)()",
    ["a loop around pcall and a callback of C"] =
      READY .. "while true do pcall(table.sort, { 1, 2, 3 }, spin) end",
    ["a read that blocks the program"] = READY .. "io.read()",
    ["code under a debug hook of the script's"] =
      "debug.sethook(function() end, 'l')" .. READY .. "spin()",
  }, {}
  setup(function()
    children = together(places, function(code)
      return started([[
        task.spawn(function() local g <close> = guard "task" task.sleep(1000) end)
        task.yield()
        local g <close> = guard "main"
      ]] .. code)
    end, "TERM")
  end)
  teardown(function() close(children) end)

  for place in pairs(places) do
    it(place .. ", and `<close>` variables run", function()
      local child <close> = children[place]
      local out, signal, err = ending(child)
      assert.same({ ["closed main"] = true, ["closed task"] = true }, out)
      assert.same({ "TERM", "" }, { signal, err })
    end)
  end
end)

describe("SIGTERM kills", function()
  local places, children = {
    -- It calls print, so that no Lua code runs once the parent has read what that prints.
    ["a C function that computes"] = [[
      io.stdout:setvbuf "no"
      string.gsub("ready" .. ("x"):rep(40), ("x*"):rep(30) .. "ready", print)]],
    ["a finalizer that loops"] = "setmetatable({}, { __gc = function()" .. READY
      .. "spin() end }) collectgarbage()",
    ["a command that is waited for"] = "os.execute 'echo ready; exec sleep 1000 <&- >&- 2>&-'",
  }, {}
  setup(function()
    children = together(places, function(code)
      return started("local g <close> = guard 'main' " .. code)
    end, "TERM")
  end)
  teardown(function() close(children) end)

  for place in pairs(places) do
    it(place .. " after a while, and says that nothing was unwound", function()
      local child <close> = children[place]
      local out, signal, err = ending(child)
      assert.same({ {}, "TERM" }, { out, signal })
      assert.matches("^lariat: SIGTERM: killed in a call that runs no Lua code", err)
    end)
  end

  it("a finalizer that loops at the end of the program, and no output is lost", function()
    local child <close> = started "setmetatable({}, { __gc = spin }) print 'ready'"
    child:kill "TERM"
    local out, signal, err = ending(child)
    assert.same({ {}, "TERM", "" }, { out, signal, err })
  end)
end)

describe("a program that starts tasks all the time", function()
  it("dies by SIGTERM without a word, wherever it is hit", function()
    local script <close> = run.file [[
      local task = require "lariat.task"
      local f = load("", "=f")
      io.stdout:write "ready\n"
      io.stdout:flush()
      while true do
        for _ = 1, 100 do task.spawn(f) end
        task.yield()
      end]]
    for _ = 1, math.max(100 // SCALE, 10) do -- a few of them just where a task begins
      local child <close> = run.start { script.path }
      assert.equal("ready", (child.stdout:receive()))
      child:kill "TERM"
      local _, signal, err = ending(child)
      assert.same({ "TERM", "" }, { signal, err })
    end
  end)
end)

describe("the end of a task that is being told", function()
  it("is not a second error when a signal comes meanwhile", function()
    local child <close> = started([[
      local g <close> = guard "main"
      task.spawn(function() print "ready" io.stdout:flush() error(("x"):rep(1 << 20)) end)
      task.sleep(1000)]])
    local first = child.stderr:receive(1) -- it is telling; the pipe takes no more than a part of it
    child:kill "TERM"
    local err = first .. child.stderr:receive "*a"
    local out, signal = ending(child)
    assert.same({ { ["closed main"] = true }, "TERM" }, { out, signal })
    assert.is_nil(err:find("task died", 1, true))
    assert.is_truthy(err:find(("x"):rep(1 << 20), 1, true))
  end)
end)

describe("the bound of an exit holds for", function()
  local places, children = {
    ["what coroutine.close runs"] = [[
      local co = holding(spinning, coroutine.yield)
      coroutine.resume(co)
      local held <close> = setmetatable({}, { __close = function() coroutine.close(co) end })]],
    ["what a failed wrap runs"] = [[
      local held <close> = setmetatable({}, { __close = function()
        coroutine.wrap(function() local held <close> = spinning error "on purpose" end)()
      end })]],
    ["a loop around pcall"] = [[
      local held <close> = setmetatable({}, { __close = function()
        while true do pcall(spin) end
      end })]],
    ["a coroutine in a <close> variable"] = [[
      local held <close> = setmetatable({}, { __close = function()
        while true do pcall(coroutine.wrap(spin)) end
      end })]],
  }, {}
  setup(function()
    children = together(places, function(code) return started(READY .. code .. " os.exit(7)") end)
  end)
  teardown(function() close(children) end)

  for place in pairs(places) do
    it(place, function()
      local child <close> = children[place]
      local _, status = ending(child)
      assert.equal(7, status)
    end)
  end
end)

describe("the time limit of a test reaches", function()
  for place, code in pairs {
    ["what coroutine.close runs"] = [[
      local co = holding(spinning, coroutine.yield)
      coroutine.resume(co)
      assert(coroutine.close(co))]],
    ["what a failed wrap runs"] =
      [[coroutine.wrap(function() local held <close> = spinning error "on purpose" end)()]],
    ["a read that blocks the program"] = [[io.read()]],
  } do
    it(place, function()
      local script <close> = run.file(GUARDS .. ([[
        local _ = { task, guard, spin, spinning, holding }
        it("spins", function() %s end)
        it("is the next", function() end)]]):format(code), "_spec.lua")
      local child <close> = run.start { "--test", "--timeout=0.2", "-o", "TAP", script.path }
      local out = child.stdout:receive "*a"
      local _, status = child:wait()
      assert.matches("not ok 1 %- spins", out)
      assert.matches("exceeded its time limit of 0.2 s", out)
      assert.matches("\nok 2 %- is the next", out)
      assert.equal(1, status)
    end)
  end

  it("a test that catches it again and again, and ends the run", function()
    local script <close> = run.file([[
      it("spins", function() while true do pcall(function() while true do end end) end end)
    ]], "_spec.lua")
    local out, _, status = run.lariat { "--test", "--timeout=0.2", script.path }
    assert.matches("exceeded its time limit of 0.2 s, and could not be stopped", out)
    assert.equal(1, status)
  end)
end)

describe("a debug hook of the script's", function()
  it("goes on after SIGUSR1 has printed the dump", function()
    local gone = os.tmpname()
    local child <close> = started(([[
      debug.sethook(function()
        local file = io.open "%s"
        if file then file:close() else print "hooked" os.exit(0) end
      end, "", 100000)]]):format(gone) .. READY .. "spin()")
    child:kill "USR1"
    assert.matches("^lariat: 1 tasks", child.stderr:receive())
    os.remove(gone)
    local out, status = ending(child)
    assert.same({ { hooked = true }, 0 }, { out, status })
  end)
end)

describe("Ctrl-C at the prompt leaves", function()
  local places, children, dir = {
    ["a loop around pcall"] = "while true do pcall(spin) end",
    ["a loop around pcall and a wait"] = "while true do pcall(task.sleep, 1000) end",
    ["a loop around pcall and a coroutine"] = "while true do pcall(coroutine.wrap(spin)) end",
    ["a loop around pcall in a coroutine"] =
      "coroutine.wrap(function() while true do pcall(spin) end end)()",
    ["a loop around xpcall"] = "while true do xpcall(spin, function(e) return e end) end",
    ["a loop around pcall in another task"] =
      "task.spawn(function() while true do pcall(spin) end end):join()",
    ["an open that blocks the program"] = "io.open(os.getenv 'FIFO')",
  }, {}, nil

  -- A session in which it runs.
  local function session(code)
    local child = run.start({ "-i" }, { FIFO = dir.path .. "/fifo" })
    child.stdout:settimeout(20 * SCALE)
    child.stdin:send("task = require 'lariat.task' function spin() while true do end end\n"
      .. "other = task.spawn(task.sleep, 1e6)\n"
      .. "print 'begun' io.stdout:flush() " .. code .. "\n")
    assert.truthy(child.stdout:receiveuntil "begun\n")
    return child
  end

  setup(function()
    dir = peers.directory()
    assert(os.execute("mkfifo " .. dir.path .. "/fifo"))
    children = together(places, session, "INT")
  end)
  teardown(function()
    close(children)
    dir:close()
  end)

  for place in pairs(places) do
    it(place .. ", and the session goes on", function()
      local child <close> = children[place]
      child.stdin:send "other:status()\n"
      assert.equal("waiting", (child.stdout:receive()))
      child.stdin:close()
      local out, status, err = ending(child)
      assert.matches("interrupted!", err)
      assert.same({ {}, 0 }, { out, status })
    end)
  end
end)

describe("tasks that wake each other all the time", function()
  it("let the network have its turn after a bounded time, not after so many turns", function()
    local task = require "lariat.task"
    local turns, most, last = 0, 0, 0
    local server <close> = assert(socket.bind("127.0.0.1", 0))
    local client <close> = assert(socket.connect("127.0.0.1", (select(2, server:getsockname()))))
    local conn <close> = assert(server:accept())
    local ping, pong = task.channel(), task.channel()
    local function work() for _ = 1, 2000 do turns = turns + 0 end end
    local first <close> = task.spawn(function()
      while true do work() turns = turns + 1 ping:send(true) pong:receive() end
    end)
    local second <close> = task.spawn(function()
      while true do ping:receive() work() turns = turns + 1 pong:send(true) end
    end)
    for _ = 1, 10 do
      client:send "x"
      client:flush()
      assert(conn:receive(1))
      most = math.max(most, turns - last)
      last = turns
    end
    assert.is_true(most < 5000, most .. " turns between two looks at the network")
    assert.truthy(first and second)
  end)
end)
