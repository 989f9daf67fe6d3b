-- SPDX-License-Identifier: MIT
--
-- Channels, semaphores, events, and waiting for the first of several.

local socket = require "socket"
local task = require "lariat.task"
local test = require "lariat.test"

local function spawned(n, f)
  local tasks = {}
  for i = 1, n do tasks[i] = task.spawn(f, i) end
  return tasks
end

describe("a channel", function()
  it("holds as many values as its capacity, in order", function()
    local channel = task.channel(2)
    assert.is_true(channel:send(1))
    assert.is_true(channel:send(false))
    assert.equal(2, channel:size())
    assert.same({ nil, "timeout" }, { channel:send(3, 0) })
    assert.same({ nil, "timeout" }, { channel:send(3, 0.001) })
    assert.equal(1, channel:receive())
    assert.is_false(channel:receive())
    assert.same({ nil, "timeout" }, { channel:receive(0) })
    assert.same({ nil, "timeout" }, { channel:receive(0.001) })
  end)

  -- Steps of the collector before the call decide at which of its allocations a finalizer runs.
  local function beside_a_finalizer(finalizer, call, sent)
    collectgarbage "incremental"
    for steps = 1, 60 do
      collectgarbage()
      collectgarbage "stop"
      local channel = task.channel(1)
      if sent then channel:send(sent) end
      for _ = 1, 20 do
        setmetatable({}, { __gc = function() finalizer(channel) end })
      end
      for _ = 1, steps do collectgarbage("step", 1) end
      collectgarbage "restart"
      call(channel)
    end
  end

  it("gives a receiver what a finalizer sends while the call makes ready to wait", function()
    local lost = 0
    beside_a_finalizer(function(channel) channel:send("value", 0) end, function(channel)
      local _, message = channel:receive(0.001)
      if message and channel:size() > 0 then lost = lost + 1 end
    end)
    assert.equal(0, lost)
  end)

  it("ends a send when a finalizer makes room while the call makes ready to wait", function()
    local missed = 0
    beside_a_finalizer(function(channel) channel:receive(0) end, function(channel)
      local _, message = channel:send("second", 0.001)
      if message and channel:size() == 0 then missed = missed + 1 end
    end, "first")
    assert.equal(0, missed)
  end)

  it("keeps what it gave to a receiver whose coroutine is closed before it runs", function()
    local channel = task.channel()
    local receiver = coroutine.create(function() return channel:receive() end)
    local running = task.spawn(coroutine.resume, receiver)
    task.yield()
    assert.is_true(channel:send "value")
    coroutine.close(receiver)
    running:join()
    assert.equal("value", channel:receive(0))
  end)

  it("forgets a sender whose coroutine is closed", function()
    local channel = task.channel()
    local sender = coroutine.create(function() return channel:send "value" end)
    local running = task.spawn(coroutine.resume, sender)
    task.yield()
    assert.is_true(channel:ready())
    coroutine.close(sender)
    running:join()
    assert.is_false(channel:ready())
  end)

  it("without capacity hands each value over", function()
    local channel, sent = task.channel(), false
    local sender = task.spawn(function() channel:send "value" sent = true end)
    task.yield()
    assert.is_false(sent)
    assert.equal("value", channel:receive())
    sender:join()
    assert.is_true(sent)
  end)

  it("serves many receivers, and many senders, in the order they came", function()
    local channel, got = task.channel(), {}
    local receivers = spawned(5, function(i) got[i] = channel:receive() end)
    task.yield()
    for i = 1, 5 do channel:send(i) end
    for _, t in ipairs(receivers) do t:join() end
    assert.same({ 1, 2, 3, 4, 5 }, got)
    local senders = spawned(5, function(i) channel:send(i) end)
    task.yield()
    for i = 1, 5 do assert.equal(i, channel:receive()) end
    for _, t in ipairs(senders) do t:join() end
  end)

  it("lets nobody overtake a sender that waits", function()
    local channel = task.channel(1)
    channel:send "first"
    local waiting = task.spawn(channel.send, channel, "second")
    task.yield()
    assert.equal("first", channel:receive())
    assert.same({ nil, "timeout" }, { channel:send("third", 0) })
    assert.equal("second", channel:receive())
    waiting:join()
  end)

  it("that is closed gives what is inside, then nil and closed", function()
    local channel = task.channel(2)
    channel:send "inside"
    assert.is_true(channel:close())
    assert.is_false(channel:close())
    assert.same({ nil, "closed" }, { channel:send "more" })
    assert.equal("inside", channel:receive())
    assert.same({ nil, "closed" }, { channel:receive() })
    assert.same({ nil, "closed" }, { channel:receive(0) })
  end)

  it("that is closed wakes who waits", function()
    local full, empty = task.channel(), task.channel()
    local sender = task.spawn(full.send, full, 1)
    local receiver = task.spawn(empty.receive, empty)
    task.yield()
    full:close()
    empty:close()
    assert.same({ nil, "closed" }, { sender:join() })
    assert.same({ nil, "closed" }, { receiver:join() })
  end)

  it("is an iterator until its end, and a <close> variable", function()
    local got = {}
    local reader
    do
      local channel <close> = task.channel()
      reader = task.spawn(function() for value in channel do table.insert(got, value) end end)
      for i = 1, 3 do channel:send(i) end
    end
    reader:join()
    assert.same({ 1, 2, 3 }, got)
  end)

  it("keeps its order while receivers give up", function()
    local channel, got = task.channel(math.huge), {}
    local readers = spawned(20, function(i) return channel:receive(i % 2 == 0 and 0.001 or nil) end)
    for i = 2, 20, 2 do readers[i]:join() end
    for i = 1, 10 do channel:send(i) end
    for i = 1, 19, 2 do table.insert(got, (readers[i]:join())) end
    assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, got)
  end)

  it("refuses nil, and a capacity that is none", function()
    assert.error_matches(function() task.channel():send(nil) end, "nil cannot be sent")
    for _, capacity in ipairs { -1, 0 / 0, "1", {} } do
      assert.error_matches(function() task.channel(capacity) end, "capacity expected")
    end
  end)
end)

describe("a semaphore", function()
  it("lets so many in at once", function()
    local permits, inside, most = task.semaphore(3), 0, 0
    task.group(function(g)
      for _ = 1, 20 do
        g:spawn(permits.with, permits, function()
          inside = inside + 1
          most = math.max(most, inside)
          task.yield()
          inside = inside - 1
        end)
      end
    end)
    assert.same({ 0, 3 }, { inside, most })
  end)

  it("gives its permit back after an error, and passes results", function()
    local permit = task.semaphore(1)
    assert.is_false((pcall(permit.with, permit, error, "x")))
    assert.same({ 1, 2 }, { permit:with(function(...) return ... end, 1, 2) })
    assert.is_true(permit:acquire(0))
    assert.same({ nil, "timeout" }, { permit:acquire(0) })
    assert.same({ nil, "timeout" }, { permit:acquire(0.001) })
  end)

  it("is not released more often than acquired, and has permits", function()
    local permit = task.semaphore(1)
    assert.error_matches(function() permit:release() end, "more often")
    for _, n in ipairs { 0, -1, 1.5 } do
      assert.error_matches(function() task.semaphore(n) end, "positive integer")
    end
  end)
end)

describe("an event", function()
  it("lets everybody through once it is set, until it is cleared", function()
    local event = task.event()
    assert.same({ nil, "timeout" }, { event:wait(0) })
    local waiting = spawned(3, function() return event:wait() end)
    task.yield()
    event:set()
    for _, t in ipairs(waiting) do assert.is_true((t:join())) end
    assert.is_true(event:wait())
    event:clear()
    assert.same({ nil, "timeout" }, { event:wait(0.001) })
  end)
end)

describe("task.wait", function()
  it("returns the first in the list that is ready, and consumes nothing", function()
    local channel, event, a, b = task.channel(1), task.event(), test.pair()
    assert.same({ nil, "timeout" }, { task.wait({ channel, event, a }, 0) })
    assert.same({ nil, "timeout" }, { task.wait({ channel, event, a }, 0.001) })
    channel:send "value"
    event:set()
    assert.equal(event, task.wait { a, event, channel })
    assert.equal(channel, task.wait { a, channel, event })
    assert.equal("value", channel:receive())
    b:send "x\n"
    assert.equal(a, task.wait { a, channel })
    assert.equal("x", a:receive())
  end)

  for name, make in pairs {
    ["a channel that gets a value"] = function()
      local channel = task.channel(1)
      return channel, function() channel:send(1) end
    end,
    ["a channel that gets a sender"] = function()
      local channel = task.channel()
      return channel, function() channel:send(1, 0.01) end
    end,
    ["a channel that is closed"] = function()
      local channel = task.channel()
      return channel, function() channel:close() end
    end,
    ["an event"] = function()
      local event = task.event()
      return event, function() event:set() end
    end,
    ["a semaphore"] = function()
      local permit = task.semaphore(1)
      permit:acquire()
      return permit, function() permit:release() end
    end,
    ["a task that ends"] = function()
      local gate = task.event()
      return task.spawn(gate.wait, gate), function() gate:set() end
    end,
    ["a socket"] = function()
      local a, b = test.pair()
      return a, function() b:send "x" end
    end,
    ["a socket that is closed here"] = function()
      local a = test.pair()
      return a, function() a:close() end
    end,
  } do
    it("is woken by " .. name .. ", and so is socket.select", function()
      for _, wait in ipairs { task.wait, function(list) return socket.select(list)[1] end } do
        local object, make_ready = make()
        local other <close> = assert(socket.bind("127.0.0.1", 0))
        local waiting = task.spawn(wait, { other, object })
        task.yield()
        assert.equal("waiting", waiting:status())
        local making = task.spawn(make_ready)
        assert.equal(object, (waiting:join(5)))
        making:join()
      end
    end)
  end

  it("says of a closed socket at once that it is ready: its next call says why", function()
    local a = test.pair()
    a:close()
    assert.equal(a, task.wait { task.event(), a })
  end)

  it("refuses what cannot be waited for", function()
    assert.error_matches(function() task.wait { {} } end, "object 1 cannot be waited for")
    assert.error_matches(function() task.wait {} end, "nothing to wait for")
    assert.error_matches(function() task.wait(42) end, "table expected")
  end)
end)
