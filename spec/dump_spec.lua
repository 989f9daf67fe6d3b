-- SPDX-License-Identifier: MIT
--
-- The dump: task.list, lariat.sockets, task.dump and SIGUSR1. And names.

local lariat = require "lariat"
local socket = require "socket"
local task = require "lariat.task"
local test = require "lariat.test"
local run = require "spec.support.program"

local function info_of(t)
  for _, info in ipairs(task.list()) do
    if info.task == t then return info end
  end
end

local function line_here()
  return debug.getinfo(2, "l").currentline
end

describe("task.list", function()
  it("says of each task what it is, and where and for what it waits", function()
    local a, b = test.pair()
    local line = line_here() + 2
    local t <close> = task.spawn({ name = "reader" }, function()
      a:receive()
    end)
    task.yield()
    local info = info_of(t)
    assert.equal("reader", info.name)
    assert.equal("waiting", info.status)
    assert.equal("receive", info.waiting_for)
    assert.matches("dump_spec%.lua:" .. line .. "$", info.where)
    assert.matches("dump_spec%.lua:" .. line - 1 .. "$", info.spawned_at)
    assert.equal(("%s:%d"):format(a:getpeername()), info.peer)
    assert.matches("stack traceback:.*dump_spec%.lua:" .. line, info.traceback)
    assert.is_true(info.age >= info.since and info.since >= 0)
    assert.is_truthy(b)
  end)

  it("finds the innermost line, through coroutines and libraries", function()
    local line = line_here() + 4
    local t <close> = task.spawn(function()
      coroutine.wrap(function()
        for _ in coroutine.wrap(function()
          task.group(function(g) g:spawn(task.sleep, 1000) end)
        end) do error "nothing is yielded" end
      end)()
    end)
    task.yield()
    assert.matches("dump_spec%.lua:" .. line .. "$", info_of(t).where)
    assert.equal("group", info_of(t).waiting_for)
    assert.matches("in a coroutine of its own", info_of(t).traceback)
  end)

  it("shows for what a task has waited that is ready to go on", function()
    local near, far = test.pair()
    local receiving = task.spawn(near.receive, near)
    task.yield()
    receiving:cancel()
    local info = info_of(receiving)
    assert.same({ "ready", ("%s:%d"):format(near:getpeername()) }, { info.status, info.peer })
    near:close()
    far:close()
  end)

  it("knows which task a join waits for", function()
    local sleeper <close> = task.spawn({ name = "sleeper" }, task.sleep, 1000)
    local t <close> = task.spawn(sleeper.join, sleeper)
    task.yield()
    assert.equal("task sleeper", info_of(t).peer)
  end)

  it("shows the calling task running, and those that have not begun", function()
    local t <close> = task.spawn(task.yield)
    assert.equal("running", info_of(task.current()).status)
    assert.matches("dump_spec%.lua:%d+$", info_of(task.current()).where)
    assert.equal("ready", info_of(t).status)
    assert.is_nil(info_of(t).waiting_for)
  end)

  it("no longer has those that have ended", function()
    local t = task.spawn(task.yield)
    t:join()
    assert.is_nil(info_of(t))
  end)
end)

describe("a task's name", function()
  it("is the one it was given, or the line of its function", function()
    local line = line_here() + 1
    local function f() end
    assert.matches("dump_spec%.lua:" .. line .. "$", task.spawn(f):name())
    assert.equal("given", task.spawn({ name = "given" }, f):name())
    assert.matches("dump_spec%.lua:" .. line_here() .. "$", task.spawn(task.yield):name())
    assert.matches("%(given%)$", tostring(task.spawn({ name = "given" }, f)))
  end)

  it("can be changed", function()
    local t = task.spawn({ name = "before" }, task.yield)
    assert.equal("before", t:name "after")
    assert.equal("after", t:name())
    assert.has_error(function() t:name {} end)
  end)

  it("is a string, and the only option", function()
    assert.error_matches(function() task.spawn({ name = 42 }, print) end, "'name' is no string")
    assert.error_matches(function() task.spawn({ nam = "x" }, print) end, "no such option 'nam'")
    assert.has_error(function() task.spawn { name = "x" } end)
  end)
end)

describe("lariat.sockets", function()
  it("says of each socket what it is, what went through, and which line made it", function()
    local line = line_here() + 1
    local server <close> = assert(socket.bind("127.0.0.1", 0))
    local _, port = server:getsockname()
    local client <close> = assert(socket.connect("127.0.0.1", port))
    local accepted <close> = assert(server:accept())
    client:send "12345\n"
    accepted:receive()
    local found = {}
    for _, s in ipairs(lariat.sockets()) do
      found[s.made_at and s.made_at:match "dump_spec%.lua:(%d+)$" or 0] = s
    end
    local first, second, third = found[line .. ""], found[line + 2 .. ""], found[line + 3 .. ""]
    assert.equal("tcp{server}", first.class)
    assert.equal("127.0.0.1:" .. port, first.sockname)
    assert.is_nil(first.peername)
    assert.equal("127.0.0.1:" .. port, second.peername)
    assert.equal(second.sockname, third.peername)
    assert.same({ 6, 0, 0 }, { second.sent, second.received, second.queued })
    assert.same({ 0, 6 }, { third.sent, third.received })
  end)
end)

describe("task.dump", function()
  it("writes to a function, and to a file", function()
    local text
    task.dump(function(all) text = all end)
    assert.matches("^lariat: %d+ tasks, %d+ sockets\ntask main ", text)
    local file <close> = assert(io.tmpfile())
    task.dump(file)
    file:seek "set"
    assert.matches("^lariat: %d+ tasks", file:read "a")
    assert.error_matches(function() task.dump(42) end, "bad argument #1 to 'dump'")
  end)
end)

describe("SIGUSR1", function()
  local function dumped_by(script)
    local child <close> = run.start { "-e", "print 'ready' io.stdout:flush() " .. script }
    assert.equal("ready", child.stdout:receive())
    child:kill "USR1"
    local first = child.stderr:receive()
    local second = child.stderr:receive()
    return first, second
  end

  for what, script in pairs {
    ["waits"] = "require 'lariat'.stdin:receive()",
    ["spins"] = "while true do end",
    ["spins in a coroutine"] = "coroutine.wrap(function() while true do end end)()",
  } do
    it("has a program that " .. what .. " print the dump, and go on", function()
      local first, second = dumped_by(script)
      assert.matches("^lariat: 1 tasks, %d sockets$", first)
      assert.matches("^task main .* at %(command line%):1", second)
    end)
  end

  it("goes to a script that watches it", function()
    local child <close> = run.start { "-e", [[
      local watch = require "lariat".signal "USR1"
      print "ready" io.stdout:flush()
      print(watch:wait())
      watch:close()
      print "closed" io.stdout:flush()
      require "lariat".stdin:receive()]] }
    assert.equal("ready", child.stdout:receive())
    child:kill "USR1"
    assert.equal("USR1", child.stdout:receive())
    assert.equal("closed", child.stdout:receive())
    child:kill "USR1"
    assert.matches("^lariat: 1 tasks", child.stderr:receive())
  end)
end)
