-- SPDX-License-Identifier: MIT
--
-- Crowds: very many tasks that wait for the same, and all of them go on, or give up, at once. What
-- costs each of them a look at all others would not end within a test's time limit. SCALE divides
-- the sizes for slow builds.

local socket = require "socket"
local task = require "lariat.task"
local program = require "spec.support.program"

local SCALE = tonumber(os.getenv "SCALE") or 1
local MANY = 50000 // SCALE

-- Spawns n tasks, and calls f once all of them wait; returns what the tasks have returned, counted.
local function crowd(n, body, f)
  local counts = {}
  task.group(function(g)
    for _ = 1, n do
      g:spawn(function()
        local result = tostring((body()))
        counts[result] = (counts[result] or 0) + 1
      end)
    end
    task.yield()
    task.sleep(0)
    f(g)
  end)
  return counts
end

describe("a crowd", function()
  it("is let through by one event", function()
    local event = task.event()
    assert.same({ ["true"] = MANY }, crowd(MANY, function() return event:wait() end, function()
      event:set()
    end))
  end)

  it("that waits for an event or a socket is let through by the event", function()
    local server <close> = assert(socket.bind("127.0.0.1", 0))
    local stop = task.event()
    local counts = crowd(MANY, function()
      return task.wait { stop, server } == stop
    end, function() stop:set() end)
    assert.same({ ["true"] = MANY }, counts)
  end)

  it("leaves the line of a semaphore when its time is up", function()
    local permits = task.semaphore(1)
    permits:acquire()
    local counts = crowd(MANY, function()
      local _, why = permits:acquire(0.001)
      return why
    end, function() end)
    assert.same({ timeout = MANY }, counts)
    permits:release()
    assert.is_true(permits:acquire(0))
  end)

  it("leaves the line of a semaphore when one of it fails", function()
    local permits = task.semaphore(10)
    local entered, left = 0, 0
    local ok, err = pcall(task.group, function(g)
      for _ = 1, MANY do
        g:spawn(function()
          local _ <close> = setmetatable({}, { __close = function() left = left + 1 end })
          permits:with(function()
            entered = entered + 1
            task.sleep(1000)
          end)
        end)
      end
      task.yield()
      task.sleep(0)
      error("failed", 0)
    end)
    assert.same({ false, "failed" }, { ok, err })
    assert.same({ 10, MANY }, { entered, left })
    for _ = 1, 10 do assert.is_true(permits:acquire(0)) end
  end)

  it("gives up a channel that is closed", function()
    local channel = task.channel()
    local counts = crowd(MANY, function()
      local _, why = channel:receive()
      return why
    end, function() channel:close() end)
    assert.same({ closed = MANY }, counts)
  end)

  it("sends to one slow socket, each its whole message", function()
    local n = MANY // 2
    local server <close> = assert(socket.bind("127.0.0.1", 0))
    local host, port = server:getsockname()
    local writer <close> = assert(socket.connect(host, port))
    local reader <close> = assert(server:accept())
    local message = ("x"):rep(999) .. "\n"
    local lines = 0
    local counts = crowd(n, function() return writer:send(message) end, function(g)
      g:spawn(function()
        while lines < n and assert(#reader:receive()) == 999 do lines = lines + 1 end
      end)
    end)
    assert.same({ ["1000"] = n }, counts)
    assert.equal(n, lines)
  end)

  it("is not looked at by others that race and time out", function()
    local raced = 0
    crowd(MANY, function() return (pcall(task.sleep, 1000)) end, function(g)
      for _ = 1, MANY // 10 do
        raced = raced + task.race(function() return 1 end, function() task.sleep(1000) end)
      end
      g:cancel()
    end)
    assert.equal(MANY // 10, raced)
  end)

  for what, body in pairs {
    ["that swallows every error"] = "while true do pcall(task.sleep, 1000) end",
    ["in line for a semaphore"] = "permits:with(task.sleep, 1000)",
    ["whose <close> variables never end"] = "local _ <close> = endless task.sleep(1000)",
  } do
    it(what .. " ends with the program", function()
      local script <close> = program.file(([[
        local task = require "lariat.task"
        local permits = task.semaphore(10)
        local endless = setmetatable({}, { __close = function() while true do end end })
        for _ = 1, tonumber(arg[1]) do
          task.spawn(function() %s end)
        end
        task.yield()
        print "leaving"
        os.exit(4)
      ]]):format(body))
      local child <close> = program.start { script.path, tostring(MANY) }
      local how, status = child:wait(20 * SCALE)
      if not status then child:kill "KILL" end
      assert.same({ "exit", 4 }, { how, status })
    end)
  end
end)
