-- SPDX-License-Identifier: MIT
--
-- Deadlines: timeout, deadline, how they nest, what they reach, and late results.

local socket = require "socket"
local task = require "lariat.task"
local test = require "lariat.test"

local EXPIRED = { nil, "deadline" }

local function compute_until(at)
  while task.now() < at do end
end

describe("a deadline", function()
  it("ends any wait, and only the scope says so", function()
    local a = test.pair()
    local server <close> = assert(socket.bind("127.0.0.1", 0))
    local udp <close> = socket.udp4()
    udp:setsockname("127.0.0.1", 0)
    local channel, event, never = task.channel(), task.event(), task.spawn(task.sleep, 1000)
    for name, wait in pairs {
      sleep = function() task.sleep(1000) end,
      receive = function() a:receive() end,
      ["receive until the end"] = function() a:receive "*a" end,
      accept = function() server:accept() end,
      receivefrom = function() udp:receivefrom() end,
      ["send under backpressure"] = function() while true do a:send(("x"):rep(65536)) end end,
      join = function() never:join() end,
      channel = function() channel:receive() end,
      event = function() event:wait() end,
      select = function() socket.select({ a }, nil) end,
      wait = function() task.wait { event, server } end,
      group = function() task.group(function(g) g:spawn(task.sleep, 1000) end) end,
      ["busy loop that gives way"] = function() while true do task.yield() end end,
    } do
      local inside
      local results = table.pack(task.timeout(0.002, function()
        local ok, err = pcall(wait)
        inside = err
        error(ok and "it went on" or err, 0)
      end))
      assert.same({ nil, "deadline", n = 2 }, results, name)
      assert.equal(task.cancelled, inside)
    end
    never:cancel()
  end)

  it("that has passed reaches name lookups and connects as their first wait", function()
    assert.same(EXPIRED, { task.timeout(0, socket.dns.toip, "localhost") })
    assert.same(EXPIRED, { task.timeout(0, socket.connect, "localhost", 9) })
  end)

  it("is the nearest of those around it, and the others go on", function()
    local inner
    assert.same({ "outer" }, { task.timeout(1000, function()
      inner = table.pack(task.timeout(0.001, task.sleep, 1000))
      task.sleep(0.001)
      return "outer"
    end) })
    assert.same({ nil, "deadline", n = 2 }, inner)
    local reached = false
    assert.same(EXPIRED, { task.timeout(0.001, function()
      task.timeout(1000, task.sleep, 1000)
      reached = true
    end) })
    assert.is_false(reached)
  end)

  it("is inherited by the tasks of a group inside", function()
    local child
    assert.same(EXPIRED, { task.timeout(0.001, task.group, function(g)
      child = g:spawn(task.sleep, 1000)
    end) })
    assert.equal("cancelled", child:status())
  end)

  it("that passes while a child computes ends the waits of the child's group as well", function()
    local ended = {}
    local function wait(name, f, ...)
      local _, err = pcall(f, ...)
      ended[name] = err
      error(err, 0)
    end
    assert.same(EXPIRED, { task.timeout(0.002, task.group, function(g)
      local at = task.now() + 0.004
      g:spawn(function()
        compute_until(at)
        wait("first", task.sleep, 1000) -- the first wait after the deadline
      end)
      g:spawn(wait, "sleep", task.sleep, 1000)
      wait("body", task.event().wait, task.event())
    end) })
    assert.same({ first = task.cancelled, sleep = task.cancelled, body = task.cancelled }, ended)
  end)

  it("ends a group of which some compute and one is slow", function()
    local found = task.channel()
    assert.same(EXPIRED, { task.timeout(0.02, task.group, function(g)
      for _ = 1, 4 do
        g:spawn(function()
          task.sleep(0.015)
          compute_until(task.now() + 0.004)
          found:send "parsed"
        end)
      end
      g:spawn(function()
        task.sleep(1000)
        found:send "late"
      end)
      for _ = 1, 5 do found:receive() end
    end) })
  end)

  it("reaches a generator that is resumed inside, and the generator's group", function()
    local child, resumed
    local generator = coroutine.wrap(function()
      task.timeout(1000, task.group, function(g)
        child = g:spawn(task.sleep, 1000)
        coroutine.yield() -- and leaves its first consumer, who has no deadline
        resumed = true
        task.shield(1000, coroutine.yield)
        task.sleep(1000)
      end)
    end)
    generator()
    task.yield()
    assert.equal("waiting", child:status())
    assert.same(EXPIRED, { task.timeout(0.002, function()
      generator()
      assert.is_true(resumed)
      child:join() -- in this scope no more: the generator has left it
    end) })
    assert.equal("waiting", child:status())
    assert.same(EXPIRED, { task.timeout(0.002, generator) })
    assert.equal("cancelled", child:status())
  end)

  it("does not end a plain task started inside", function()
    local t
    task.timeout(0.001, function()
      t = task.spawn(function() task.sleep(0.003) return "on" end)
      task.sleep(1000)
    end)
    assert.equal("on", (t:join()))
  end)

  it("leaves a socket's own timeout what it is", function()
    local a, b = test.pair()
    b:send "part"
    a:settimeout(0.001)
    assert.same({ nil, "timeout", "part" }, { task.timeout(1000, a.receive, a) })
  end)

  it("that passes leaves what has come to the next receive", function()
    local a, b = test.pair()
    b:send "part of "
    assert.same(EXPIRED, { task.timeout(0.002, a.receive, a) })
    b:send "a line\n"
    assert.equal("part of a line", a:receive())
  end)

  it("takes no results from who returned, however late", function()
    assert.same({ 1, nil, 3, n = 3 }, table.pack(task.timeout(0, function() return 1, nil, 3 end)))
    assert.equal("late", (task.timeout(0.001, function()
      pcall(task.sleep, 1000)
      return "late"
    end)))
  end)

  it("lets errors through", function()
    local thrown = {}
    local ok, err = pcall(task.timeout, 1, function() task.yield() error(thrown) end)
    assert.is_false(ok)
    assert.equal(thrown, err)
  end)

  it("may be a moment, also one that has passed", function()
    assert.same(EXPIRED, { task.deadline(task.now() + 0.001, task.sleep, 1000) })
    assert.same(EXPIRED, { task.deadline(0, task.sleep, 1000) })
    assert.equal("on", (task.deadline(math.huge, function() return "on" end)))
  end)

  it("passes arguments", function()
    local function echo(...) return ... end
    assert.same({ 1, nil, n = 2 }, table.pack(task.timeout(1, echo, 1, nil)))
  end)

  it("refuses what is no time", function()
    local function refuses(pattern, f, ...)
      local ok, err = pcall(f, ...)
      assert.is_false(ok)
      assert.matches(pattern, err)
    end
    for _, name in ipairs { "timeout", "deadline", "shield" } do
      local expected = "bad argument #1 to '" .. name .. "'"
      refuses(expected, task[name], -1, print)
      refuses(expected, task[name], 0 / 0, print)
      refuses(expected, task[name], "1", print)
      refuses("bad argument #2 to '" .. name .. "'", task[name], 1)
    end
    local channel, event, semaphore = task.channel(), task.event(), task.semaphore(1)
    refuses("not negative", channel.receive, channel, -1)
    refuses("not negative", channel.send, channel, 1, -1)
    refuses("not negative", event.wait, event, -1)
    refuses("not negative", semaphore.acquire, semaphore, -1)
    refuses("not negative", task.wait, { event }, -1)
  end)

  it("may be negative where LuaSocket has it mean for ever, and for sleep", function()
    task.sleep(-1)
    local t = task.spawn(function() task.yield() return "joined" end)
    assert.equal("joined", (t:join(-1)))
  end)
end)
