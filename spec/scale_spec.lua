-- SPDX-License-Identifier: MIT
--
-- Many of everything: what thousands of connections take they give back, and nobody starves beside
-- a flood. SCALE divides the sizes for slow builds.

local socket = require "socket"
local task = require "lariat.task"
local net = require "spec.support.net"

local SCALE = tonumber(os.getenv "SCALE") or 1

-- The sockets that /proc/self/fd lists, a line each (the pipe of the listing comes and goes).
local function open_descriptors()
  local listing <close> = assert(io.popen "ls -l /proc/$PPID/fd")
  local lines = {}
  for line in listing:lines() do lines[#lines + 1] = line:match "%d+ %-> socket:.*" end
  return lines
end

-- Resident memory in KiB.
local function memory()
  for line in io.lines "/proc/self/status" do
    local size = line:match "^VmRSS:%s+(%d+)"
    if size then return tonumber(size) end
  end
end

local function open_and_close(listener, port, n)
  local clients, accepted = {}, {}
  for i = 1, n do
    clients[i] = assert(socket.connect("127.0.0.1", port))
    accepted[i] = assert(listener:accept())
  end
  for i = 1, n do
    clients[i]:send("hello " .. i .. "\n")
  end
  for i = 1, n do
    assert.equal("hello " .. i, accepted[i]:receive())
  end
  for i = 1, n do
    accepted[i]:close() -- first, so that TIME_WAIT is the server's
    clients[i]:close()
  end
end

describe("scale", function()
  it("gives back the memory and descriptors of 5,000 connections, again and again", function()
    local n = math.max(100, 5000 // SCALE)
    local listener <close> = assert(socket.bind("127.0.0.1", 0, 4096))
    local _, port = listener:getsockname()
    collectgarbage() -- what other specs left
    collectgarbage()
    task.yield()
    local descriptors = open_descriptors()
    local after = {}
    for round = 1, 8 do
      open_and_close(listener, port, n)
      collectgarbage()
      collectgarbage()
      task.yield()
      local now = open_descriptors()
      assert.is_true(#now <= #descriptors, ("round %d:\n%s\nbefore:\n%s"):format(round,
        table.concat(now, "\n"), table.concat(descriptors, "\n")))
      after[round] = memory()
    end
    -- A leak grows in every round; what allocators keep grows in steps, on a loaded machine, where
    -- more output waits at a time, in any round. Under sanitizers (SCALE above 1) freed memory is
    -- quarantined, and only descriptors tell.
    local least = math.huge
    for round = 5, 8 do least = math.min(least, after[round] - after[round - 1]) end
    assert.is_true(SCALE > 1 or least < n / 5,
      ("every round of %d: %s KiB"):format(n, table.concat(after, ", ")))
  end)

  it("keeps a ticker ticking beside a saturated receive loop", function()
    local client, accepted = net.pair()
    local a <close> = client
    local b <close> = accepted
    local ticks, received, done = 0, 0, false
    local total = 64 * 1024 * 1024 // SCALE
    local sender = task.spawn(function()
      local block = ("x"):rep(65536)
      local sent = 0
      while sent < total do
        assert(a:send(block))
        sent = sent + #block
      end
      a:shutdown "send"
    end)
    local ticker = task.spawn(function()
      while not done do
        ticks = ticks + 1
        task.yield()
      end
    end)
    local data = b:receiveany()
    while data do
      received = received + #data
      data = b:receiveany()
    end
    done = true
    sender:join()
    ticker:join()
    assert.is_true(received >= total)
    -- a turn is at most 64 reads or 256 KiB: the ticker has had its turn between any two of them
    assert.is_true(ticks >= received / (512 * 1024), ("%d ticks"):format(ticks))
  end)

  it("keeps others going beside a loop that never waits for its datagrams", function()
    local receiver <close> = socket.udp4()
    receiver:setsockname("127.0.0.1", 0)
    local _, port = receiver:getsockname()
    local sender <close> = socket.udp4()
    local ticks = 0
    local ticker = task.spawn(function()
      for _ = 1, 20 do
        ticks = ticks + 1
        task.yield()
      end
    end)
    for _ = 1, 100000 do
      sender:sendto("flood", "127.0.0.1", port)
      if ticks == 20 then break end
    end
    assert.equal(20, ticks)
    ticker:join()
  end)

  it("runs ten thousand tasks that sleep", function()
    local n = 10000 // SCALE
    local woken = 0
    local tasks = {}
    for i = 1, n do
      tasks[i] = task.spawn(function()
        task.sleep((i % 17) / 1000)
        woken = woken + 1
      end)
    end
    for _, t in ipairs(tasks) do t:join() end
    assert.equal(n, woken)
  end)

  it("moves 100 MB through one connection without keeping it", function()
    local total = 100 * 1024 * 1024 // SCALE
    local client, accepted = net.pair()
    local a <close> = client
    local b <close> = accepted
    local sender = task.spawn(function()
      local block = ("y"):rep(1 << 20)
      for _ = 1, total // #block do assert(a:send(block)) end
      a:close()
    end)
    collectgarbage()
    local before, received = memory(), 0
    local data = b:receiveany()
    while data do
      received = received + #data
      data = b:receiveany()
    end
    sender:join()
    assert.equal(total // (1 << 20) * (1 << 20), received)
    assert.is_true(SCALE > 1 or memory() - before < 16 * 1024)
  end)

  it("keeps no more than the high-water mark for a peer that never reads", function()
    local client, accepted = net.pair()
    local a <close> = client
    local b <close> = accepted
    a:settimeout(0)
    local block = ("z"):rep(1 << 20)
    local before = memory()
    local sent = 0
    repeat
      local ok, message, partial = a:send(block)
      sent = sent + (ok or partial)
    until message == "timeout"
    collectgarbage()
    assert.is_true(SCALE > 1 or memory() - before < 4096)
    a:settimeout(nil)
    local reader = task.spawn(function() return #assert(b:receive(sent)) end)
    assert.equal(sent, reader:join())
  end)
end)
