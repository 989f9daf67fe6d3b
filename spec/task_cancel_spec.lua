-- SPDX-License-Identifier: MIT
--
-- Cancelling a task: at each kind of wait, for good, and without losing a byte.

local socket = require "socket"
local task = require "lariat.task"
local net = require "spec.support.net"

-- Spawns f, lets it reach its wait, cancels it there; what join says.
local function cancel_in(f, ...)
  local t = task.spawn(f, ...)
  local status
  local canceller = task.spawn(function() -- runs right after it
    status = t:status()
    t:cancel()
  end)
  canceller:join()
  assert.equal("waiting", status)
  return t:join(5)
end

-- A port where a connect gets no answer: nobody accepts, and the backlog is full.
local function deaf_port()
  local server = assert(socket.bind("127.0.0.1", 0, 0))
  local _, port = server:getsockname()
  local kept = { server }
  repeat
    local client = socket.tcp4()
    client:settimeout(0.02)
    table.insert(kept, client)
  until not client:connect("127.0.0.1", port)
  return port, kept
end

local CANCELLED = { nil, "cancelled" }

describe("a cancelled task", function()
  it("leaves any wait that is not for bytes", function()
    local server <close> = assert(socket.bind("127.0.0.1", 0, 1))
    local udp <close> = socket.udp4()
    udp:setsockname("127.0.0.1", 0)
    local other = task.spawn(task.sleep, 1000)
    local deaf, kept = deaf_port()
    local waits = {
      accept = function() server:accept() end,
      serve = function() server:serve(function() end) end,
      ["name lookup"] = function() socket.dns.toip "no-such-host.invalid" end,
      ["lookup to connect"] = function() socket.connect("no-such-host.invalid", 9) end,
      ["connect"] = function() socket.connect("127.0.0.1", deaf) end,
      receivefrom = function() udp:receivefrom() end,
      receivemany = function() udp:receivemany() end,
      datagrams = function() udp:datagrams()() end,
      sleep = function() task.sleep(1000) end,
      join = function() other:join() end,
      ["join with a limit"] = function() other:join(1000) end,
      select = function() socket.select({ server, udp }, nil, 1000) end,
      ["select of nothing"] = function() socket.select(nil, nil, 1000) end,
    }
    for _, wait in pairs(waits) do assert.same(CANCELLED, { cancel_in(wait) }) end
    assert.equal("waiting", other:status())
    other:cancel()
    assert.same(CANCELLED, { other:join() })
    for _, s in ipairs(kept) do s:close() end
  end)

  it("leaves what has come to the next receive, whatever the pattern", function()
    for _, receive in ipairs {
      function(s) s:receive "*l" end,
      function(s) s:receive "*L" end,
      function(s) s:receive "*a" end,
      function(s) s:receive(100) end,
      function(s) s:receive("*l", "prefix") end,
      function(s) s:receiveuntil "\r\n\r\n" end,
      function(s) s:peek(100) end,
      function(s) for _ in s:lines() do error "there is no line" end end,
    } do
      local a <close>, b = net.pair()
      b:send "part of "
      while not a:peek(8) do task.yield() end
      assert.same(CANCELLED, { cancel_in(receive, a) })
      b:send "a line\n"
      assert.equal("part of a line", a:receive())
    end
  end)

  it("frees its socket for other receivers", function()
    local a <close>, b = net.pair()
    assert.same(CANCELLED, { cancel_in(function() a:receiveany() end) })
    b:send "x\n"
    assert.equal("x", a:receive())
  end)

  it("loses no byte of a stream however often it is cancelled", function()
    local a <close>, b = net.pair()
    local data = {}
    for i = 1, 500 do data[i] = ("%d:%s\n"):format(i, ("x"):rep(i)) end
    local text = table.concat(data)
    local sending = task.spawn(function()
      for i = 1, #text, 97 do
        b:send(text:sub(i, i + 96))
        task.yield()
      end
      b:shutdown "send"
    end)
    local got, over = {}, false
    while not over do
      local reader = task.spawn(function()
        while true do
          local line = a:receive "*L"
          if not line then over = true return end
          table.insert(got, line)
        end
      end)
      task.yield()
      task.yield()
      reader:cancel()
      reader:join()
    end
    sending:join()
    assert.equal(text, table.concat(got))
  end)

  it("leaves a send under backpressure, and the stream whole up to there", function()
    local a <close>, b = net.pair()
    local piece = ("0123456789abcdef"):rep(4096)
    local t = task.spawn(function()
      while true do a:send(piece) end
    end)
    repeat task.sleep(0.001) until t:status() == "waiting"
    task.sleep(0)
    t:cancel()
    assert.same(CANCELLED, { t:join() })
    a:close()
    local got = b:receive "*a"
    assert.is_true(#got > 0)
    assert.equal(piece:rep(#got // #piece + 1):sub(1, #got), got)
  end)

  it("lets a send that waits behind it go first", function()
    local a <close>, b = net.pair()
    local first = task.spawn(function() a:send(("x"):rep(16 * 1024 * 1024)) end)
    local second = task.spawn(function() return a:send "second" end)
    task.yield()
    assert.same({ "waiting", "waiting" }, { first:status(), second:status() })
    first:cancel()
    local reader = task.spawn(function() return b:receive "*a" end)
    assert.same(CANCELLED, { first:join() })
    assert.equal(6, (second:join()))
    a:close()
    assert.matches("^x*second$", (reader:join()))
  end)

  it("is closed by <close> variables, which may ask but no longer wait", function()
    local order = {}
    assert.same(CANCELLED, { cancel_in(function()
      local guard <close> = setmetatable({}, { __close = function(_, err)
        table.insert(order, err)
        table.insert(order, select(2, pcall(task.sleep, 1)))
      end })
      task.sleep(guard and 1000)
    end) })
    assert.same({ task.cancelled, task.cancelled }, order)
  end)

  it("cannot swallow its cancellation for good", function()
    local caught = 0
    assert.same(CANCELLED, { cancel_in(function()
      for _ = 1, 3 do
        local ok, err = pcall(task.sleep, 1000)
        if not ok and err == task.cancelled then caught = caught + 1 end
      end
      task.sleep(1000)
      error "it went on"
    end) })
    assert.equal(3, caught)
  end)

  it("may end with results all the same", function()
    assert.same({ "result" }, { cancel_in(function()
      pcall(task.sleep, 1000)
      return "result"
    end) })
  end)

  it("is cancelled inside a coroutine of its own too", function()
    local closed = false
    assert.same(CANCELLED, { cancel_in(function()
      coroutine.wrap(function()
        local guard <close> = setmetatable({}, { __close = function() closed = true end })
        task.sleep(guard and 1000)
      end)()
    end) })
    assert.is_true(closed)
  end)

  it("before its first turn ends at its first wait", function()
    local reached = false
    local t = task.spawn(function()
      reached = true
      task.yield()
      error "it went on"
    end)
    assert.is_true(t:cancel())
    assert.same(CANCELLED, { t:join() })
    assert.is_true(reached)
  end)

  it("while it has given way ends there", function()
    local t = task.spawn(function()
      while true do task.yield() end
    end)
    task.yield()
    t:cancel()
    assert.same(CANCELLED, { t:join() })
  end)

  it("by itself ends at its next wait", function()
    local t = task.spawn(function()
      task.current():cancel()
      task.sleep(1000)
    end)
    assert.same(CANCELLED, { t:join() })
  end)

  it("after its end is left as it was", function()
    local t = task.spawn(function() return "result" end)
    t:join()
    assert.is_false(t:cancel())
    assert.same({ "result" }, { t:join() })
    assert.equal("done", t:status())
  end)

  it("is told by the unique value, which has a name", function()
    assert.equal("task.cancelled", tostring(task.cancelled))
    local seen
    cancel_in(function() seen = select(2, pcall(task.sleep, 1000)) end)
    assert.equal(task.cancelled, seen)
  end)
end)

describe("a task in a <close> variable", function()
  it("is cancelled when the variable goes", function()
    local t
    do
      local scoped <close> = task.spawn(task.sleep, 1000)
      t = scoped
    end
    assert.same(CANCELLED, { t:join() })
  end)
end)
