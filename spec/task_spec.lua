-- SPDX-License-Identifier: MIT
--
-- Tasks: spawn, join, status, names, yield, fairness. Cancellation is in task_cancel_spec.lua.

local lariat = require "lariat"
local socket = require "socket"
local task = require "lariat.task"
local net = require "spec.support.net"

local SCALE = tonumber(os.getenv "SCALE") or 1

-- Errors of tasks that nobody joins yet are reported: not on this run's standard error.
local onerror
before_each(function() onerror = lariat.onerror(function() end) end)
after_each(function() lariat.onerror(onerror) end)

describe("a task", function()
  it("runs after its spawner waits, with the arguments given", function()
    local got
    local t = task.spawn(function(...) got = table.pack(...) end, 1, nil, "x", nil)
    assert.is_nil(got)
    assert.equal("ready", t:status())
    t:join()
    assert.same({ 1, nil, "x", nil, n = 4 }, got)
    assert.equal("done", t:status())
  end)

  it("gives all its results to every join", function()
    local t = task.spawn(function() return 1, nil, nil end)
    assert.same({ 1, nil, nil, n = 3 }, table.pack(t:join()))
    assert.same({ 1, nil, nil, n = 3 }, table.pack(t:join()))
    assert.equal(0, select("#", task.spawn(function() end):join()))
    local many = table.pack(task.spawn(function() return table.unpack({}, 1, 200) end):join())
    assert.equal(200, many.n)
  end)

  it("raises its error in whoever joins, the very same value", function()
    local thrown = setmetatable({}, { __tostring = function() return "thrown" end })
    local t = task.spawn(function() task.yield() error(thrown) end)
    for _ = 1, 2 do
      local ok, err = pcall(t.join, t)
      assert.is_false(ok)
      assert.equal(thrown, err)
    end
    assert.equal("failed", t:status())
    for _, value in ipairs { false, 42, "text" } do
      local failing = task.spawn(function() error(value, 0) end)
      local ok, err = pcall(failing.join, failing)
      assert.is_false(ok)
      assert.equal(value, err)
    end
    local with_nil = task.spawn(function() error(nil) end)
    assert.is_false((pcall(with_nil.join, with_nil)))
  end)

  it("may be joined by many, and by a coroutine", function()
    local t = task.spawn(function() task.sleep(0.005) return "result" end)
    local joiners = {}
    for i = 1, 10 do joiners[i] = task.spawn(function() return t:join() end) end
    for i = 1, 10 do assert.equal("result", (joiners[i]:join())) end
    assert.equal("result", coroutine.wrap(function() return t:join() end)())
  end)

  it("is joined for so long only", function()
    local t = task.spawn(task.sleep, 1000)
    assert.same({ nil, "timeout" }, { t:join(0) })
    assert.same({ nil, "timeout" }, { t:join(0.01) })
    assert.equal("waiting", t:status())
    t:cancel()
    assert.same({ nil, "cancelled" }, { t:join(10) })
    assert.equal("cancelled", t:status())
  end)

  it("cannot join itself", function()
    assert.error_matches(function() task.current():join() end, "cannot join itself")
  end)

  it("knows itself, its status and its place of birth", function()
    local t
    t = task.spawn(function()
      assert.equal(t, task.current())
      assert.equal("running", t:status())
      return coroutine.running(), select(2, coroutine.running())
    end)
    local _, is_main = t:join()
    assert.is_true(is_main)
    assert.not_equal(t, task.current())
    assert.matches("task_spec%.lua:%d+$", t:name())
    assert.matches("^task: ", tostring(t))
  end)

  it("that fails and is not joined is reported once, with traceback and origin", function()
    local reports = {}
    lariat.onerror(function(...) table.insert(reports, table.pack(...)) end)
    local t = task.spawn(function() error "on purpose" end)
    for _ = 1, 3 do task.yield() end
    assert.equal(1, #reports)
    local err, traceback, title = table.unpack(reports[1])
    assert.matches("task_spec%.lua:%d+: on purpose$", err)
    assert.matches("on purpose.*stack traceback:.*task_spec%.lua", traceback)
    assert.matches("task_spec%.lua:%d+", title)
    assert.is_false((pcall(t.join, t))) -- and so it changes no exit status
    assert.equal(1, #reports)
  end)

  it("that fails and is being joined is not reported", function()
    local reports = 0
    lariat.onerror(function() reports = reports + 1 end)
    local t = task.spawn(function() task.yield() error "on purpose" end)
    assert.is_false((pcall(t.join, t)))
    assert.equal(0, reports)
  end)

  it("needs a function", function()
    assert.has_error(function() task.spawn() end)
    assert.has_error(function() task.spawn(42) end)
  end)

  it("that is forgotten runs to its end", function()
    local ended = 0
    for _ = 1, 100 do task.spawn(function() task.yield() ended = ended + 1 end) end
    collectgarbage()
    while ended < 100 do task.yield() end
  end)

  it("runs the <close> variables an error leaves, which may wait", function()
    local order = {}
    local t = task.spawn(function()
      local outer <close> = setmetatable({}, { __close = function()
        task.sleep(0.001)
        table.insert(order, "outer")
      end })
      local inner <close> = setmetatable({}, { __close = function(_, err)
        table.insert(order, err)
      end })
      error(outer and inner and "thrown", 0)
    end)
    assert.is_false((pcall(t.join, t)))
    assert.same({ "thrown", "outer" }, order)
  end)
end)

describe("yield", function()
  it("lets every other ready task run once", function()
    local order = {}
    local tasks = {}
    for i = 1, 3 do
      tasks[i] = task.spawn(function()
        for round = 1, 3 do
          table.insert(order, round)
          task.yield()
        end
      end)
    end
    for i = 1, 3 do tasks[i]:join() end
    assert.same({ 1, 1, 1, 2, 2, 2, 3, 3, 3 }, order)
  end)

  it("lets the network be heard", function()
    local a <close>, b = net.pair()
    local heard
    local reader = task.spawn(function() heard = a:receive() end)
    b:send "x\n"
    while not heard do task.yield() end
    reader:join()
  end)
end)

describe("a flood", function()
  it("of datagrams leaves a ticker its turns", function()
    local udp = socket.udp4()
    udp:setsockname("127.0.0.1", 0)
    local _, port = udp:getsockname()
    local received, ticks, stop = 0, 0, false
    local flooding = task.spawn(function()
      local sender <close> = socket.udp4()
      while not stop do sender:sendto("x", "127.0.0.1", port) end
    end)
    local receiving = task.spawn(function()
      for _ in udp:datagrams() do received = received + 1 end
    end)
    local ticker = task.spawn(function()
      while received < 50000 // SCALE do
        ticks = ticks + 1
        task.yield()
      end
    end)
    ticker:join()
    stop = true
    flooding:join()
    udp:close()
    receiving:join()
    -- A turn of the receiver is at most 64 batches of 32 datagrams.
    assert.is_true(ticks >= received // (64 * 32), ticks .. " ticks, " .. received .. " received")
  end)

  it("of lines leaves a ticker its turns", function()
    local a <close>, b = net.pair()
    local lines, ticks, total = 0, 0, 200000 // SCALE
    local sending = task.spawn(function()
      local block = ("x\n"):rep(1000)
      for _ = 1, total // 1000 + 1 do b:send(block) end
    end)
    local ticker = task.spawn(function()
      while lines < total do
        ticks = ticks + 1
        task.sleep(0)
      end
    end)
    while lines < total do
      assert(a:receive())
      lines = lines + 1
    end
    ticker:join()
    sending:join()
    -- A turn of the receiver is at most 256 KiB and what one read brings beyond it.
    assert.is_true(ticks >= lines * 2 // (512 * 1024), ticks .. " ticks, " .. lines .. " lines")
  end)
end)

describe("thousands of tasks", function()
  it("wait and end", function()
    local count = 20000 // SCALE
    local gate, ended = true, 0
    for _ = 1, count do
      task.spawn(function()
        while gate do task.sleep(0.01) end
        ended = ended + 1
      end)
    end
    task.yield()
    gate = false
    while ended < count do task.sleep(0.001) end
  end)

  it("join each other in a chain", function()
    local last = task.spawn(function() task.sleep(0.001) return 0 end)
    for _ = 1, 5000 // SCALE do
      local before = last
      last = task.spawn(function() return before:join() + 1 end)
    end
    assert.equal(5000 // SCALE, (last:join()))
  end)

  it("leave no memory behind", function()
    local function round()
      local tasks = {}
      for i = 1, 1000 do tasks[i] = task.spawn(task.yield) end
      for i = 1, 1000 do tasks[i]:join() end
      tasks = nil
      collectgarbage()
      collectgarbage()
      return collectgarbage "count", tasks
    end
    round()
    local before = round()
    for _ = 1, 5 do round() end
    assert.is_true(round() < before + 100)
  end)
end)
