-- SPDX-License-Identifier: MIT
--
-- A cancel at the waits that are not for bytes of a socket: what tasks wait for among themselves,
-- signals, children, standard input. Those for sockets are in task_cancel_spec.lua.

local lariat = require "lariat"
local socket = require "socket"
local task = require "lariat.task"
local test = require "lariat.test"
local run = require "spec.support.program"

-- Lets f reach its wait, cancels it there: f must leave it by task.cancelled, again and again.
local function cancel_in(f)
  local seen = {}
  local t = task.spawn(function()
    for i = 1, 2 do seen[i] = select(2, pcall(f)) end
    f()
    error "it went on"
  end)
  test.eventually(function() return t:status() == "waiting" end)
  assert.is_true(t:cancel())
  assert.same({ nil, "cancelled" }, { t:join(5) })
  assert.same({ task.cancelled, task.cancelled }, seen)
end

describe("a task can be cancelled while it waits", function()
  local channel, full = task.channel(), task.channel(1)
  full:send "full"
  local taken = task.semaphore(1)
  taken:acquire()
  local event = task.event()

  for name, wait in pairs {
    ["to receive from a channel"] = function() channel:receive() end,
    ["to receive from a channel for so long"] = function() channel:receive(1000) end,
    ["in a loop over a channel"] = function() for _ in channel do error "a value" end end,
    ["to send to a channel"] = function() full:send "more" end,
    ["for a semaphore"] = function() taken:acquire() end,
    ["to run with a semaphore"] = function() taken:with(error) end,
    ["for an event"] = function() event:wait() end,
    ["for one of several"] = function() task.wait { channel, event, taken } end,
    ["in socket.select over all kinds"] = function() socket.select({ channel, event }) end,
    ["in a group"] = function() task.group(function(g) g:spawn(task.sleep, 1000) end) end,
    ["in the body of a group"] = function() task.group(function() task.sleep(1000) end) end,
    ["in a race"] = function() task.race(function() task.sleep(1000) end) end,
    ["in all"] = function() task.all(function() task.sleep(1000) end) end,
    ["in a timeout"] = function() task.timeout(1000, task.sleep, 1000) end,
  } do
    it(name, function() cancel_in(wait) end)
  end

  it("for a signal", function()
    local watch <close> = lariat.signal "HUP"
    cancel_in(function() watch:wait() end)
  end)

  it("for the end of a child", function()
    local child <close> = assert(lariat.run { "sleep", "1000" })
    cancel_in(function() child:wait() end)
  end)

  it("for what a child writes", function()
    local child <close> = assert(lariat.run { "sleep", "1000", stdout = "pipe" })
    cancel_in(function() child.stdout:receive() end)
  end)

  it("to relay", function()
    local a, b = test.pair()
    cancel_in(function() socket.relay(a, b) end)
    cancel_in(function() a:pipe(b) end)
  end)

  it("for standard input", function()
    local child <close> = run.start { "-e", [[
      local task, stdin = require "lariat.task", require "lariat".stdin
      local t = task.spawn(function() stdin:receive() end)
      task.yield()
      t:cancel()
      print(t:join())]] }
    assert.equal("nil\tcancelled", child.stdout:receive())
    assert.same({ "exit", 0 }, { child:wait() })
  end)
end)

describe("a loop that catches its cancellation and tries again", function()
  it("does not keep others from running", function()
    local stop = false
    local stubborn = task.spawn(function()
      while not stop do pcall(task.sleep, 1000) end
    end)
    task.yield()
    stubborn:cancel()
    assert.same({ nil, "timeout" }, { stubborn:join(0.01) })
    stop = true
    stubborn:join()
    local accepting <close> = assert(socket.bind("127.0.0.1", 0))
    local turns = 0
    local other = task.spawn(function()
      while turns < 3 do
        turns = turns + 1
        task.sleep(0.001)
      end
    end)
    assert.equal("late", task.timeout(0, function()
      while turns < 3 do pcall(accepting.accept, accepting) end
      return "late"
    end))
    other:join()
  end)
end)

describe("a cancelled task loses nothing:", function()
  it("a value that it was served goes back to the front of the channel", function()
    local channel = task.channel(5)
    local reader = task.spawn(channel.receive, channel)
    task.yield()
    channel:send "first"
    reader:cancel()
    channel:send "second"
    assert.same({ nil, "cancelled" }, { reader:join() })
    assert.equal("first", channel:receive())
    assert.equal("second", channel:receive())
  end)

  it("a value goes on to the next receiver", function()
    local channel = task.channel()
    local first = task.spawn(channel.receive, channel)
    local second = task.spawn(channel.receive, channel)
    task.yield()
    channel:send "value"
    first:cancel()
    assert.equal("value", (second:join()))
    first:join()
  end)

  it("a value that it was to send and that was not taken is not in the channel", function()
    local channel = task.channel()
    local sender = task.spawn(channel.send, channel, "value")
    task.yield()
    sender:cancel()
    sender:join()
    assert.same({ nil, "timeout" }, { channel:receive(0) })
  end)

  it("a permit that it was waiting for goes to the next", function()
    local permit = task.semaphore(1)
    permit:acquire()
    local first = task.spawn(permit.acquire, permit)
    local second = task.spawn(permit.acquire, permit)
    task.yield()
    first:cancel()
    permit:release()
    first:join()
    assert.is_true((second:join()))
    permit:release()
  end)

  it("a permit it runs with is given back", function()
    local permit = task.semaphore(1)
    local t = task.spawn(permit.with, permit, task.sleep, 1000)
    task.yield()
    assert.is_false(permit:ready())
    t:cancel()
    t:join()
    assert.is_true(permit:ready())
  end)
end)
