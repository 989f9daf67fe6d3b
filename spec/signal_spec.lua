-- SPDX-License-Identifier: MIT
-- Signals: watches, what they win over, and what is left when they are closed.

local lariat = require "lariat"
local task = require "lariat.task"

local LARIAT = os.getenv "LARIAT" or "./lariat"

local function own_pid()
  local shell <close> = assert(lariat.run { "sh", "-c", "echo $PPID" })
  return shell.stdout:receive()
end

local function raise(name)
  local child <close> = assert(lariat.run { "kill", "-" .. name, own_pid() })
  assert.same({ "exit", 0 }, { child:wait() })
end

-- A child lariat that has run as far as its first print.
local function started(script)
  local child = assert(lariat.run { LARIAT, "-e", script, stdin = "pipe", stderr = "stdout" })
  assert.equal("ready", child.stdout:receive())
  return child
end

describe("a watched signal", function()
  it("ends a wait and gives its name", function()
    local watch <close> = lariat.signal "SIGUSR1"
    raise "USR1"
    assert.equal("USR1", watch:wait())
    assert.same({ nil, "timeout" }, { watch:wait(0) })
  end)

  it("is counted while nobody waits", function()
    local watch <close> = lariat.signal "USR1"
    local other <close> = lariat.signal "USR1"
    raise "USR1"
    assert.equal("USR1", other:wait()) -- the first has arrived
    raise "USR1"
    assert.equal("USR1", other:wait())
    assert.equal("USR1", watch:wait())
    assert.equal("USR1", watch:wait())
    assert.same({ nil, "timeout" }, { watch:wait(0) })
  end)

  it("can be iterated over until the watch is closed", function()
    local watch = lariat.signal "HUP"
    local seen = {}
    local loop = task.spawn(function()
      for name in watch do seen[#seen + 1] = name end
      return "over"
    end)
    local other <close> = lariat.signal "HUP"
    raise "HUP"
    assert.equal("HUP", other:wait())
    task.yield()
    watch:close()
    watch:close()
    assert.equal("over", loop:join())
    assert.same({ "HUP" }, seen)
    assert.same({ nil, "closed" }, { watch:wait() })
  end)

  it("goes to the next waiting task if the first is cancelled", function()
    local watch <close> = lariat.signal "USR2"
    local first = task.spawn(watch.wait, watch)
    local second = task.spawn(watch.wait, watch)
    task.yield()
    first:cancel()
    assert.same({ nil, "cancelled" }, { first:join() })
    raise "USR2"
    assert.equal("USR2", second:join())
  end)

  it("does not lose its watch to the garbage collector while it is waited for", function()
    local waiter = task.spawn(function() return lariat.signal("WINCH"):wait() end)
    task.yield()
    collectgarbage()
    collectgarbage()
    raise "WINCH"
    assert.equal("WINCH", waiter:join())
  end)

  it("keeps a program alive that does nothing else", function()
    local child <close> = started [[
      local watch = require "lariat".signal "HUP"
      print "ready" io.stdout:flush()
      print(watch:wait())]]
    child:kill "HUP"
    assert.equal("HUP\n", child.stdout:receive "a")
    assert.same({ "exit", 0 }, { child:wait() })
  end)

  it("wins over what Ctrl-C and SIGTERM do, until it is closed", function()
    for _, name in ipairs { "INT", "TERM" } do
      local child <close> = started(([[
        local lariat = require "lariat"
        local watch = lariat.signal "%s"
        print "ready" io.stdout:flush()
        local name = watch:wait()
        watch:close()
        print(name) io.stdout:flush()
        lariat.stdin:receive()]]):format(name))
      child:kill(name)
      assert.equal(name, child.stdout:receive())
      child:kill(name)
      assert.same({ "signal", name }, { child:wait() })
    end
  end)

  it("leaves broken pipes ignored when it was SIGPIPE", function()
    lariat.signal("PIPE"):close()
    local child <close> = assert(lariat.run { "true", stdin = "pipe" })
    child:wait()
    child.stdin:setoption("cork", false)
    assert.same({ nil, "closed", 0 }, { child.stdin:send "x" })
  end)
end)

describe("a signal that cannot be watched", function()
  it("is an error that says why", function()
    local function fails(message, name)
      local ok, err = pcall(lariat.signal, name)
      assert.is_false(ok)
      assert.match(message, err, 1, true)
    end
    fails("unknown signal 'FOO'", "FOO")
    fails("unknown signal 'int'", "int")
    fails("signal KILL cannot be waited for (no process can catch it)", "SIGKILL")
    fails("signal STOP cannot be waited for", "STOP")
    fails("signal SEGV cannot be waited for", "SEGV")
    fails("string expected, got nil", nil)
  end)
end)
