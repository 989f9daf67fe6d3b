-- SPDX-License-Identifier: MIT
--
-- How far a cancellation reaches: shields, generators, what pcall cannot swallow, late results.

local task = require "lariat.task"
local test = require "lariat.test"

local SCALE = tonumber(os.getenv "SCALE") or 1

local CANCELLED, EXPIRED = { nil, "cancelled" }, { nil, "deadline" }

local function closing(f)
  return setmetatable({}, { __close = f })
end

describe("a shield", function()
  it("lets a <close> variable converse when its task is cancelled", function()
    local a, b = test.pair()
    local answer
    local t = task.spawn(function()
      local goodbye <close> = closing(function()
        task.shield(5, function()
          a:send "bye\n"
          answer = a:receive()
        end)
      end)
      task.sleep(goodbye and 1000)
    end)
    task.yield()
    t:cancel()
    assert.equal("bye", b:receive())
    b:send "bye bye\n"
    assert.same(CANCELLED, { t:join() })
    assert.equal("bye bye", answer)
  end)

  it("is not felt through by a cancel while it waits, which comes after it", function()
    local slept
    local t = task.spawn(function()
      task.shield(5, function() slept = pcall(task.sleep, 0.002) end)
      task.sleep(1000)
    end)
    task.yield()
    assert.is_true(t:cancel())
    assert.same(CANCELLED, { t:join() })
    assert.is_true(slept)
  end)

  it("keeps deadlines further out away, and has its own", function()
    local inner
    assert.same(EXPIRED, { task.timeout(0.001, function()
      inner = table.pack(task.shield(1, function() task.sleep(0.003) return "whole" end))
      task.sleep(1000)
    end) })
    assert.same({ "whole", n = 1 }, inner)
    assert.same(EXPIRED, { task.shield(0.001, task.sleep, 1000) })
  end)

  it("does not shield what its own group or timeout asks", function()
    assert.same(EXPIRED, { task.shield(5, task.timeout, 0.001, task.sleep, 1000) })
    assert.same(CANCELLED, { task.shield(5, task.group, function(g)
      g:cancel()
      task.sleep(1000)
    end) })
  end)

  it("bounds the goodbye of a group's children", function()
    local order = {}
    assert.same(EXPIRED, { task.timeout(0.001, task.group, function(g)
      g:spawn(function()
        local goodbye <close> = closing(function()
          table.insert(order, (select(2, task.shield(0.002, task.sleep, 1000))))
        end)
        task.sleep(goodbye and 1000)
      end)
    end) })
    assert.same({ "deadline" }, order)
  end)
end)

describe("a cancelled scope", function()
  it("raises again at every wait inside, whatever catches it", function()
    local caught = 0
    assert.same(EXPIRED, { task.timeout(0, function()
      for _ = 1, 5 do
        local ok, err = pcall(task.sleep, 1000)
        caught = caught + (not ok and err == task.cancelled and 1 or 0)
      end
      task.sleep(1000)
    end) })
    assert.equal(5, caught)
  end)

  it("is over once it has been left", function()
    task.timeout(0, task.sleep, 1000)
    task.sleep(0)
    local a, b = test.pair()
    b:send "x\n"
    assert.equal("x", a:receive())
  end)

  it("does not take the cancellation of its task for its own", function()
    local after
    local t = task.spawn(function()
      task.timeout(1000, task.sleep, 1000)
      after = true
    end)
    task.yield()
    t:cancel()
    assert.same(CANCELLED, { t:join() })
    assert.is_nil(after)
  end)

  it("does not take an error that merely passes for its own", function()
    local ok, err = pcall(task.timeout, 1000, error, task.cancelled)
    assert.is_false(ok)
    assert.equal(task.cancelled, err)
  end)
end)

describe("a generator", function()
  it("takes its deadline along: its consumer never feels it", function()
    local generator = coroutine.wrap(function()
      return task.timeout(0.001, function()
        coroutine.yield "first"
        task.sleep(1000)
      end)
    end)
    assert.equal("first", generator())
    task.sleep(0.003) -- after its time is up
    assert.same(EXPIRED, { generator() })
  end)

  it("feels the deadline of whoever resumes it", function()
    local inside
    local generator = coroutine.wrap(function()
      coroutine.yield "first"
      inside = select(2, pcall(task.sleep, 1000))
      coroutine.yield "second"
    end)
    assert.equal("first", generator())
    assert.same({ "second" }, { task.timeout(0.001, generator) })
    assert.equal(task.cancelled, inside)
  end)

  it("has nothing more to do with a consumer it has left", function()
    local child
    local generator = coroutine.wrap(function()
      task.group(function(g)
        child = g:spawn(function() task.sleep(0.4 * SCALE) return "whole" end)
        coroutine.yield "first"
        child:join()
      end)
      return "end"
    end)
    assert.same({ "first" }, { task.timeout(0.2 * SCALE, function()
      local first = generator()
      task.yield() -- the child begins to wait in here
      return first
    end) })
    collectgarbage()
    collectgarbage()
    assert.equal("whole", (child:join()))
    assert.equal("end", generator())
  end)

  it("that is closed inside its scopes leaves none behind", function()
    local co = coroutine.create(function()
      task.timeout(0.001, function()
        task.timeout(1000, function() coroutine.yield() end)
      end)
    end)
    assert(coroutine.resume(co))
    assert.is_true(coroutine.close(co))
    collectgarbage()
    task.sleep(0.003)
  end)

  it("that is closed with an open group cancels the group's tasks", function()
    local child
    local co = coroutine.create(function()
      local g <close> = task.group()
      child = g:spawn(task.sleep, 1000)
      task.timeout(1000, coroutine.yield)
    end)
    assert(coroutine.resume(co))
    task.yield()
    coroutine.close(co)
    collectgarbage()
    assert.same(CANCELLED, { child:join(5) })
  end)
end)

describe("scopes", function()
  it("need a task that may wait in them", function()
    local ok, err = pcall(table.sort, { 3, 2, 1 }, function(a, b)
      task.timeout(1, task.yield)
      return a < b
    end)
    assert.is_false(ok)
    assert.matches("Lua cannot suspend here", err)
    task.yield()
  end)

  it("nest deeply", function()
    local function nest(depth)
      if depth == 0 then return task.sleep(1000) end
      return task.timeout(1000, nest, depth - 1)
    end
    assert.same(EXPIRED, { task.timeout(0.005, nest, 100) })
  end)

  it("leave no memory behind", function()
    local function round()
      for _ = 1, 1000 do task.timeout(10, function() end) end
      for _ = 1, 100 do task.group(function(g) g:spawn(task.yield) end) end
      for _ = 1, 100 do local g <close> = task.group() g:spawn(task.yield) end
      collectgarbage()
      collectgarbage()
      return collectgarbage "count"
    end
    round()
    local before = round()
    for _ = 1, 5 do round() end
    assert.is_true(round() < before + 100)
  end)
end)
