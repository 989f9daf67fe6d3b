-- SPDX-License-Identifier: MIT
--
-- Groups: tasks that end before the call that started them; race and all.

local lariat = require "lariat"
local task = require "lariat.task"
local test = require "lariat.test"

local function raised(f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  return err
end

describe("a group", function()
  it("returns what its body returns, after all children have ended", function()
    local ended = 0
    assert.same({ 1, nil, 3, n = 3 }, table.pack(task.group(function(g)
      for _ = 1, 10 do g:spawn(function() task.sleep(0.001) ended = ended + 1 end) end
      return 1, nil, 3
    end)))
    assert.equal(10, ended)
  end)

  it("whose coroutine is closed while it waits inside cancels the children", function()
    local child
    local co = coroutine.wrap(function()
      task.group(function(g)
        child = g:spawn(task.sleep, 3600)
        coroutine.yield(coroutine.running())
      end)
    end)
    coroutine.close(co())
    assert.same({ nil, "cancelled" }, { child:join() })
  end)

  it("waits for children of children", function()
    local ended = false
    task.group(function(g)
      g:spawn(function()
        task.yield()
        g:spawn(function() task.sleep(0.001) ended = true end)
      end)
    end)
    assert.is_true(ended)
  end)

  it("whose child fails cancels the others, waits for them and raises that error", function()
    local thrown, order = {}, {}
    local err = raised(task.group, function(g)
      g:spawn(function()
        local guard <close> = setmetatable({}, { __close = function()
          task.shield(1, task.sleep, 0.001)
          table.insert(order, "sibling")
        end })
        task.sleep(guard and 1000)
      end)
      g:spawn(function() task.yield() error(thrown) end)
      pcall(task.sleep, 1000)
      table.insert(order, "body")
    end)
    assert.equal(thrown, err)
    assert.same({ "body", "sibling" }, order)
  end)

  it("whose body fails cancels the children and raises that error", function()
    local thrown, child = {}, nil
    assert.equal(thrown, raised(task.group, function(g)
      child = g:spawn(task.sleep, 1000)
      task.yield()
      error(thrown)
    end))
    assert.equal("cancelled", child:status())
  end)

  it("tells of an error that comes while it fails", function()
    local told = {}
    local before = lariat.onerror(function(err) table.insert(told, err) end)
    local err = raised(task.group, function(g)
      g:spawn(function()
        local guard <close> = setmetatable({}, { __close = function() error("second", 0) end })
        task.sleep(guard and 1000)
      end)
      g:spawn(function() task.yield() error("first", 0) end)
    end)
    lariat.onerror(before)
    assert.equal("first", err)
    assert.same({ "second" }, told)
  end)

  it("that is cancelled by its task cancels its children, and is left by it", function()
    local child
    local t = task.spawn(function()
      task.group(function(g) child = g:spawn(task.sleep, 1000) end)
      error "it went on"
    end)
    task.yield()
    t:cancel()
    assert.same({ nil, "cancelled" }, { t:join() })
    assert.equal("cancelled", child:status())
  end)

  it("can cancel itself, which stops there", function()
    local child
    assert.same({ nil, "cancelled" }, { task.group(function(g)
      child = g:spawn(task.sleep, 1000)
      assert.is_true(g:cancel())
      assert.is_false(g:cancel())
      task.sleep(1000)
    end) })
    assert.equal("cancelled", child:status())
    task.yield() -- not felt here
  end)

  it("that has cancelled itself returns what its body returns all the same", function()
    assert.equal("v", task.group(function(g)
      g:cancel()
      return "v"
    end))
    local child
    assert.same({ "v", "w" }, { task.group(function(g)
      child = g:spawn(task.sleep, 1000)
      task.yield()
      g:cancel()
      return "v", "w"
    end) })
    assert.equal("cancelled", child:status())
    assert.same({ nil, "deadline" }, { task.timeout(0.01, task.group, function(g)
      g:spawn(task.sleep, 1000)
      return "too early"
    end) })
  end)

  it("goes on when one child is cancelled", function()
    assert.equal("end", task.group(function(g)
      local child = g:spawn(task.sleep, 1000)
      g:spawn(function() task.yield() child:cancel() end)
      return "end"
    end))
  end)

  it("takes no more tasks after its end", function()
    local group
    task.group(function(g) group = g end)
    assert.error_matches(function() group:spawn(task.yield) end, "group has ended")
    assert.is_false(group:cancel())
  end)

  it("names its children", function()
    task.group(function(g)
      assert.equal("worker", g:spawn({ name = "worker" }, task.yield):name())
      assert.matches("group_spec%.lua:%d+$", g:spawn(function() end):name())
      assert.error_matches(function() g:spawn({ nam = "x" }, task.yield) end, "no such option")
      assert.error_matches(function() g:spawn({ name = "x" }, 42) end, "function expected")
      assert.error_matches(function() g:spawn() end, "function expected")
    end)
    assert.error_matches(function() task.group(42) end, "function expected")
  end)

  it("closes the sockets its cancelled children hold", function()
    local a, b = test.pair()
    pcall(task.group, function(g)
      g:spawn(function()
        local mine <close> = a
        mine:receive()
      end)
      g:spawn(function() task.yield() error "stop" end)
    end)
    assert.same({ nil, "closed", "" }, { b:receive() })
  end)
end)

describe("a group in a <close> variable", function()
  it("ends with its block", function()
    local ended = false
    do
      local g <close> = task.group()
      g:spawn(function() task.sleep(0.001) ended = true end)
    end
    assert.is_true(ended)
  end)

  it("cancels its children when an error leaves the block, which stays the error", function()
    local child
    assert.equal("thrown", raised(function()
      local g <close> = task.group()
      child = g:spawn(task.sleep, 1000)
      error("thrown", 0)
    end))
    assert.equal("cancelled", child:status())
  end)

  it("raises a child's error, instead of the cancellation it brought to the block", function()
    assert.equal("thrown", raised(function()
      local g <close> = task.group()
      g:spawn(function() error("thrown", 0) end)
      task.sleep(1000)
    end))
  end)

  it("that is cancelled at its end leaves the code behind it alone", function()
    local child
    do
      local g <close> = task.group()
      child = g:spawn(task.sleep, 1000)
      g:cancel()
    end
    task.yield()
    assert.equal("cancelled", child:status())
  end)

  it("that is never closed goes with its task, and leaves no dangling scope", function()
    local kept
    task.spawn(function()
      task.timeout(10, function()
        local g = task.group()
        kept = g:spawn(function()
          for _ = 1, 20 do task.yield() end
          return "child"
        end)
      end)
    end):join()
    collectgarbage()
    collectgarbage()
    assert.equal("child", (kept:join()))
  end)
end)

describe("race", function()
  it("returns the first results and cancels the rest", function()
    local slow
    assert.same({ 1, nil, 3, n = 3 }, table.pack(task.race(
      function() slow = task.current() task.sleep(1000) end,
      function() task.yield() return 1, nil, 3 end)))
    assert.equal("cancelled", slow:status())
  end)

  it("raises an error that comes first", function()
    assert.equal("thrown", raised(task.race, function() task.sleep(1000) end,
      function() error("thrown", 0) end))
  end)

  it("needs functions", function()
    assert.error_matches(function() task.race() end, "function expected, got no value")
    assert.error_matches(function() task.race(print, 1) end, "#2 to 'race'")
  end)
end)

describe("all", function()
  it("returns the results in order, whatever the order of the ends", function()
    assert.same({ "a", nil, "c", n = 3 }, table.pack(task.all(
      function() task.sleep(0.002) return "a", "dropped" end,
      function() end,
      function() task.yield() return "c" end)))
  end)

  it("raises the first error and cancels the rest", function()
    assert.equal("thrown", raised(task.all, function() task.sleep(1000) end,
      function() error("thrown", 0) end))
  end)
end)
