-- SPDX-License-Identifier: MIT
--
-- The end of a program: os.exit from anywhere, SIGINT and SIGTERM, and what is unwound on the way.

local socket = require "socket"
local run = require "spec.support.program"

-- Defines guard(name): a value for a `<close>` variable that prints its name when it goes.
local GUARD = [[
  local socket = require "socket"
  local task = require "lariat.task"
  local function guard(name)
    return setmetatable({}, { __close = function() print("closed " .. name) end })
  end
]]

local function lines(text)
  local set = {}
  for line in text:gmatch "[^\n]+" do set[line] = true end
  return set
end

describe("os.exit", function()
  for place, code in pairs {
    ["the main script"] = "os.exit(5)",
    ["a function called by pcall"] = "pcall(os.exit, 5) print 'unreached'",
    ["a pcall in a loop"] = "while true do pcall(function() os.exit(5) end) end",
    ["a task"] = "task.spawn(function() os.exit(5) end) task.sleep(1000)",
    ["a coroutine"] = "coroutine.wrap(function() os.exit(5) end)() print 'unreached'",
    ["a coroutine that has waited"] =
      "coroutine.wrap(function() task.yield() os.exit(5) end)() print 'unreached'",
    ["a sort comparator"] =
      "table.sort({3, 2, 1}, function() os.exit(5) end) print 'unreached'",
    ["a pcall in a sort comparator"] =
      "table.sort({3, 2, 1}, function() pcall(os.exit, 5) end) task.yield() print 'unreached'",
    ["a <close> variable"] = [[
      do local c <close> = setmetatable({}, { __close = function() os.exit(5) end }) end
      print 'unreached']],
    ["a finalizer"] = [[
      setmetatable({}, { __gc = function() os.exit(5) end })
      collectgarbage() collectgarbage() task.yield() print 'unreached']],
    ["a handler of serve"] = [[
      local server = socket.bind("127.0.0.1", 0)
      local _, port = server:getsockname()
      task.spawn(function() socket.connect("127.0.0.1", port):receive() end)
      server:serve(function() os.exit(5) end) print 'unreached']],
  } do
    it("in " .. place .. " ends the program with its status and unwinds every task", function()
      local script <close> = run.file(GUARD .. [[
        task.spawn(function() local g <close> = guard "waiting task" task.sleep(1000) end)
        task.spawn(function()
          local g <close> = guard "joining task"
          task.spawn(task.sleep, 1000):join()
        end)
        task.yield()
        local g <close> = guard "main"
      ]] .. code)
      local out, err, status = run.lariat { script.path }
      assert.same({ "", 5 }, { err, status })
      local seen = lines(out)
      for _, name in ipairs { "main", "waiting task", "joining task" } do
        assert.is_true(seen["closed " .. name], name .. " was not closed: " .. out)
      end
      assert.is_nil(seen.unreached)
    end)
  end

  it("delivers what sockets still have to send", function()
    local server <close> = assert(socket.bind("127.0.0.1", 0))
    local _, port = server:getsockname()
    local child <close> = run.start { "-e", ([[
      local conn = require "socket".connect("127.0.0.1", %d)
      conn:settimeout(0)
      local sent = 0
      repeat
        local n, _, last = conn:send(("x"):rep(65536))
        sent = sent + (n or last)
      until not n
      print(sent)
      io.stdout:flush()
      os.exit(3)
    ]]):format(port) }
    local conn <close> = assert(server:accept())
    local sent = child.stdout:receive() -- nobody reads before: the last of it is not the kernel's
    assert.equal(sent, tostring(#conn:receive "*a"))
    assert.same({ "exit", 3 }, { child:wait() })
  end)

  it("does not wait for tasks that will not end", function()
    local out, _, status = run.lariat { "-e", [[
      local task = require "lariat.task"
      task.spawn(function()
        while true do pcall(task.sleep, 1000) end
      end)
      task.yield()
      print "leaving"
      os.exit(4)
    ]] }
    assert.same({ "leaving\n", 4 }, { out, status })
  end)

  it("does not wait for a name lookup", function()
    local out, err, status = run.lariat { "-e", [[
      local task = require "lariat.task"
      local dns = require "socket".dns
      for i = 1, 20 do task.spawn(dns.toip, "no-such-host-" .. i .. ".invalid") end
      task.yield()
      print "leaving"
      os.exit(0)
    ]] }
    assert.same({ "leaving\n", "", 0 }, { out, err, status })
  end)
end)

describe("an error of the main script", function()
  it("ends its tasks and sockets, with a lookup in flight", function()
    local script <close> = run.file(GUARD .. [[
      task.spawn(function() local g <close> = guard "task" task.sleep(1000) end)
      task.spawn(function() socket.dns.toip "no-such-host.invalid" end)
      local server = socket.bind("127.0.0.1", 0)
      task.spawn(function() server:accept() end)
      task.yield()
      local g <close> = guard "main"
      error "on purpose"
    ]])
    local out, err, status = run.lariat { script.path }
    assert.same({ "closed main\nclosed task\n", 1 }, { out, status })
    assert.matches(":%d+: on purpose\nstack traceback:", err)
  end)
end)

for _, name in ipairs { "INT", "TERM" } do
  describe("SIG" .. name, function()
    for place, code in pairs {
      ["a wait"] = "task.sleep(1000)",
      ["a loop"] = "while true do end",
      ["a loop with pcall"] = "pcall(function() while true do end end) task.sleep(1000)",
      ["a loop in a task"] = "task.spawn(function() while true do end end):join()",
      ["a loop in a coroutine"] = "coroutine.wrap(function() while true do end end)()",
      ["an accept"] = "socket.bind('127.0.0.1', 0):accept()",
      ["a loop that yields"] = "while true do task.yield() end",
    } do
      it("ends " .. place .. ", runs <close> variables, and is what the program dies by", function()
        local script <close> = run.file(GUARD .. [[
          task.spawn(function() local g <close> = guard "task" task.sleep(1000) end)
          task.yield()
          local g <close> = guard "main"
          print "ready"
          io.stdout:flush()
        ]] .. code)
        local child <close> = run.start { script.path }
        assert.equal("ready", (child.stdout:receive()))
        assert(child:kill(name))
        local out = child.stdout:receive "*a" or ""
        assert.same({ "signal", name }, { child:wait() })
        assert.same({ ["closed main"] = true, ["closed task"] = true }, lines(out))
        assert.equal("", child.stderr:receive "*a" or "")
      end)
    end
  end)
end

describe("a <close> variable that never ends", function()
  for place, code in pairs {
    ["of who calls os.exit"] = "local e <close> = endless os.exit(7)",
    ["of another task"] = "task.spawn(function() local e <close> = endless task.sleep(1000) end) "
      .. "task.yield() os.exit(7)",
  } do
    it(place .. " is stopped", function()
      local script <close> = run.file(GUARD .. [[
        local endless = setmetatable({}, { __close = function() while true do end end })
      ]] .. code)
      local child <close> = run.start { script.path }
      local how, status = child:wait(20 * (tonumber(os.getenv "SCALE") or 1))
      if not status then child:kill "KILL" end
      assert.same({ "exit", 7 }, { how, status })
    end)
  end
end)

describe("a task that catches whatever is raised", function()
  for place, code in pairs {
    computing = "while true do pcall(function() while true do end end) end",
    waiting = "while true do pcall(task.sleep, 1000) end",
  } do
    it("dies by the first signal all the same, " .. place, function()
      local script <close> = run.file([[
        local task = require "lariat.task"
        print "ready"
        io.stdout:flush()
      ]] .. code)
      local child <close> = run.start { script.path }
      assert.equal("ready", (child.stdout:receive()))
      child:kill "TERM"
      local how, what = child:wait(20 * (tonumber(os.getenv "SCALE") or 1))
      if not what then child:kill "KILL" end
      assert.same({ "signal", "TERM" }, { how, what })
    end)
  end
end)

describe("a second signal", function()
  it("kills a program that hangs in its unwinding", function()
    local script <close> = run.file(GUARD .. [[
      local g <close> = setmetatable({}, { __close = function()
        print "unwinding"
        io.stdout:flush()
        os.execute "sleep 1000 & echo $!; wait"
      end })
      print "ready"
      io.stdout:flush()
      task.sleep(1000)
    ]])
    local child <close> = run.start { script.path }
    assert.equal("ready", (child.stdout:receive()))
    child:kill "TERM"
    assert.equal("unwinding", (child.stdout:receive()))
    local sleeper = assert(child.stdout:receive())
    child:kill "TERM"
    local how, what = child:wait()
    os.execute("kill " .. sleeper)
    assert.same({ "signal", "TERM" }, { how, what })
  end)
end)
