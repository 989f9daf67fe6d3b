-- SPDX-License-Identifier: MIT
--
-- Deadlines: however many there are, each ends its own wait, in the order of their times.

local socket = require "socket"
local task = require "lariat.task"
local net = require "spec.support.net"

local SCALE = tonumber(os.getenv "SCALE") or 1

describe("many timers", function()
  it("end in the order of their times", function()
    local count = 2000 // SCALE
    local woken, tasks, expected = {}, {}, {}
    local start = task.now() + 0.5 -- by then all of them wait, however busy the machine is
    for i = 1, count do
      local place = (i * 7919) % count -- a permutation, as long as 7919 does not divide count
      expected[i] = i - 1
      tasks[i] = task.spawn(function()
        task.deadline(start + place * 0.00005, task.sleep, 60)
        table.insert(woken, place)
      end)
    end
    for i = 1, count do tasks[i]:join() end
    assert.same(expected, woken)
  end)

  it("do not end before their time", function()
    local tasks = {}
    for i = 1, 50 do
      tasks[i] = task.spawn(function()
        local start = task.now()
        task.sleep(i * 0.0005)
        return task.now() - start >= i * 0.0005
      end)
    end
    for i = 1, 50 do assert.is_true((tasks[i]:join())) end
  end)

  it("end while every turn of the loop is a busy one", function()
    local slept, turns = false, 0
    local sleeper = task.spawn(function()
      for _ = 1, 3 do task.sleep(0.002) end
      slept = true
    end)
    local start = task.now()
    repeat
      task.yield()
      turns = turns + 1
    until slept or task.now() - start > 5 * SCALE
    assert.is_true(slept)
    assert.is_true(turns > 3)
    sleeper:join()
  end)

  it("that are cancelled leave the others be", function()
    local count = 1000 // SCALE
    local woken, tasks = 0, {}
    for i = 1, count do
      tasks[i] = task.spawn(function()
        task.sleep(i % 2 == 0 and 1000 or 0.01)
        woken = woken + 1
      end)
    end
    task.yield()
    for i = 2, count, 2 do tasks[i]:cancel() end
    for i = 1, count do tasks[i]:join() end
    assert.equal((count + 1) // 2, woken)
  end)

  it("at great distances are none", function()
    for _, seconds in ipairs { math.huge, 1e300, 1e10 } do
      local sleeper = task.spawn(task.sleep, seconds)
      task.yield()
      assert.equal("waiting", sleeper:status())
      sleeper:cancel()
      sleeper:join()
    end
  end)
end)

describe("a timeout", function()
  it("set on every receive never ends one that gets its data", function()
    local a <close>, b = net.pair()
    local count = 20000 // SCALE
    local echo = task.spawn(function()
      for line in b:lines "L" do b:send(line) end
    end)
    for i = 1, count do
      a:settimeout(30 + i % 7)
      a:send(i .. "\n")
      assert.equal(tostring(i), a:receive())
    end
    a:close()
    echo:join()
  end)

  it("ends each of many waits, each with its own words", function()
    local count = 200 // SCALE
    local tasks = {}
    for i = 1, count do
      tasks[i] = task.spawn(function()
        local udp <close> = socket.udp4()
        udp:setsockname("127.0.0.1", 0)
        udp:settimeout((i % 10) / 100)
        return udp:receive()
      end)
    end
    for i = 1, count do assert.same({ nil, "timeout" }, { tasks[i]:join() }) end
  end)

  it("that is shortened after a long one counts from the new wait", function()
    local a <close>, b = net.pair()
    a:settimeout(1000)
    b:send "x\n"
    assert.equal("x", a:receive())
    a:settimeout(0.01)
    assert.same({ nil, "timeout", "" }, { a:receive() })
    a:settimeout(nil)
    b:send "y\n"
    assert.equal("y", a:receive())
  end)

  it("in total covers all waits of one call", function()
    local a <close>, b = net.pair()
    a:settimeout(0.05, "t")
    a:settimeout(10, "b")
    local dribbling = task.spawn(function()
      while b:send "x" do task.sleep(0.005) end
    end)
    local data, message, partial = a:receive "*l"
    assert.same({ nil, "timeout" }, { data, message })
    assert.is_true(#partial > 0)
    a:close()
    dribbling:join()
  end)
end)
