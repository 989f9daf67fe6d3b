-- SPDX-License-Identifier: MIT
--
-- Large pieces of a stream, as strings: whatever way their bytes take, they are right, stay as they
-- are, and cost no more memory than they hold.

local net = require "spec.support.net"
local sim = require "lariat.sim"
local socket = require "socket"
local task = require "lariat.task"

local SCALE = tonumber(os.getenv "SCALE") or 1
local KIB = 1024
local SIZES = { 4095, 4096, 8191, 8192, 8193, 16384, 20000, 65535, 65536, 65537, 1024 * KIB }

local WORDS = {}
for i = 1, 140000 do WORDS[i] = ("%07x "):format(i) end
local TEXT = table.concat(WORDS)

-- Sanitizers, which run with a SCALE above 1, keep what was freed.
local function assert_used(bytes, limit)
  if SCALE == 1 then assert.is_true(bytes < limit, bytes .. " bytes, not " .. limit) end
end

-- Bytes that are not the same for another number nor at another place.
local function content(size, number)
  local first = number * 7 % 4099 + 1
  return TEXT:sub(first, first + size - 1)
end

local function resident()
  collectgarbage()
  collectgarbage()
  local file <close> = assert(io.open "/proc/self/statm")
  return tonumber(file:read("a"):match "%d+ (%d+)") * 4 * KIB
end

local function closing(...)
  local sockets = { ... }
  return setmetatable({}, {
    __close = function()
      for _, sock in ipairs(sockets) do sock:close() end
    end,
  })
end

local function gather(conn, size)
  local pieces, got = {}, 0
  while got < size do
    local piece = assert(conn:receiveany())
    pieces[#pieces + 1] = piece
    got = got + #piece
  end
  return table.concat(pieces)
end

local WAYS = {
  ["a count"] = { function(conn, size) return conn:receive(size) end },
  ["whatever is there"] = { gather },
  ["a line"] = { function(conn) return conn:receive "*l" end, "\n" },
  ["a line with its end"] = { function(conn) return conn:receive "*L":sub(1, -2) end, "\n" },
  ["up to a delimiter"] = { function(conn) return conn:receiveuntil "\r\n\r\n" end, "\r\n\r\n" },
  ["with the delimiter"] = {
    function(conn) return conn:receiveuntil("\r\n\r\n", { inclusive = true }):sub(1, -5) end,
    "\r\n\r\n",
  },
  ["behind a prefix"] = {
    function(conn, size) return conn:receive(size + 6, "prefix"):sub(7) end,
  },
}

-- Each size several times: what comes once is not yet what usually comes.
local function exchange(near, far, receive, tail)
  local kept, number = {}, 0
  for _, size in ipairs(SIZES) do
    for _ = 1, 4 do
      number = number + 1
      local sent = content(size, number)
      local sending = task.spawn(function() assert(far:send(sent .. (tail or ""))) end)
      kept[number] = { sent = sent, received = receive(near, size) }
      sending:join()
    end
  end
  for _, one in ipairs(kept) do assert.is_true(one.sent == one.received) end -- 1 MiB is no message
end

local function simulated(body)
  return function() assert(sim.run({ seed = 7, latency = 0.0001 }, body)) end
end

local function simulated_pair()
  local listener <close> = assert(socket.bind("*", 7000))
  local near = assert(socket.connect("127.0.0.1", 7000))
  return near, assert(listener:accept())
end

describe("large pieces", function()
  for name, way in pairs(WAYS) do
    local function test(pair)
      local near, far = pair()
      local _ <close> = closing(near, far)
      exchange(near, far, way[1], way[2])
    end
    it("arrive as sent: " .. name, function() test(net.pair) end)
    it("arrive as sent in a simulation: " .. name, simulated(function() test(simulated_pair) end))
  end

  it("arrive as sent: all up to the end", function()
    for i, size in ipairs(SIZES) do
      local near, far = net.pair()
      local _ <close> = closing(near, far)
      local sent = content(size, i)
      local sending = task.spawn(function()
        far:send(sent)
        far:close()
      end)
      assert.is_true(near:receive "*a" == sent)
      sending:join()
    end
  end)

  it("arrive as sent: what had come when the time was up", function()
    local near, far = net.pair()
    local _ <close> = closing(near, far)
    near:settimeout(0.01)
    for i = 1, 4 do
      local sent = content(16384, i)
      far:send(sent)
      far:flush()
      local data, message, partial = near:receive(20000)
      assert.same({ nil, "timeout" }, { data, message })
      assert.is_true(partial == sent)
    end
  end)

  it("leave others alone that have received and not yet taken", function()
    local near, far = net.pair()
    local other, sender = net.pair()
    local _ <close> = closing(near, far, other, sender)
    for i = 1, 10 do
      local small, large = content(3000, i), content(16384, 100 + i)
      sender:send(small)
      sender:flush()
      assert.equal(small:sub(1, 10), other:receive(10))
      far:send(large)
      far:flush()
      local received = near:receive(16384)
      assert.equal(small:sub(11, 20), other:receive(10))
      assert.is_true(received == large)
      assert.is_true(other:receive(2980) == small:sub(21))
    end
  end)

  it("can be taken in parts", function()
    local near, far = net.pair()
    local _ <close> = closing(near, far)
    for i = 1, 10 do
      local sent = content(16384, i)
      far:send(sent)
      far:flush()
      assert.is_true(near:receiveany(10000) == sent:sub(1, 10000))
      assert.is_true(near:peek(6384) == sent:sub(10001))
      assert.is_true(near:receiveany() == sent:sub(10001))
    end
  end)

  it("arrive whole when finalizers receive meanwhile", function()
    local near, far = net.pair()
    local other, sender = net.pair()
    local _ <close> = closing(near, far, other, sender)
    local ran, taken = 0, { [near] = {}, [other] = {} }
    local function take(conn)
      local bytes = conn:receiveany()
      if bytes then table.insert(taken[conn], bytes) end
      return bytes
    end
    local function finalizer()
      ran = ran + 1
      take(near)
      take(other)
    end
    near:settimeout(0)
    other:settimeout(0)
    local sent = {}
    for i = 1, 100 do
      sent[i] = content(20000, i)
      for _, conn in ipairs { far, sender } do
        conn:send(sent[i])
        conn:flush()
      end
      setmetatable({}, { __gc = finalizer })
      setmetatable({}, { __gc = finalizer })
      repeat until not take(near) and not take(other)
    end
    assert.is_true(ran > 0)
    sent = table.concat(sent)
    for _, bytes in pairs(taken) do -- a finalizer's bytes come before those of whom it interrupts
      assert.equal(#sent, #table.concat(bytes))
      for _, piece in ipairs(bytes) do assert.is_true(sent:find(piece, 1, true) ~= nil) end
    end
  end)
end)

describe("the memory of large pieces", function()
  local function stream(near, far, total, size)
    local sent = content(size, 1)
    local sending = task.spawn(function()
      for _ = 1, total // size do assert(far:send(sent)) end
    end)
    for _ = 1, total // size do assert.equal(size, #near:receive(size)) end
    sending:join()
  end

  local function stays_flat(pair)
    local near, far = pair()
    local _ <close> = closing(near, far)
    local total = 100 * KIB * KIB // SCALE
    local sizes = { 16384, 10000, 65536, 300000 }
    for _, size in ipairs(sizes) do stream(near, far, total // 16, size) end
    local before = resident()
    for _, size in ipairs(sizes) do stream(near, far, total // 4, size) end
    assert_used(resident() - before, 4 * KIB * KIB)
  end

  it("does not grow with what passes through", function() stays_flat(net.pair) end)
  it("does not grow in a simulation", simulated(function() stays_flat(simulated_pair) end))

  it("is little more than what is kept, one in eight or all", function()
    for _, every in ipairs { 8, 1 } do
      local near, far = net.pair()
      local _ <close> = closing(near, far)
      for _, size in ipairs { 60000, 8200, 16384 } do -- one after the other: what is usual falls
        local kept, count, sent = {}, 4000 // SCALE, content(size, 1)
        local before = resident()
        for i = 1, count do
          far:send(sent)
          far:flush()
          local bytes = near:receive(size)
          if i % every == 0 then kept[#kept + 1] = bytes end
        end
        assert_used(resident() - before, 1.3 * #kept * size + 6 * KIB * KIB)
      end
    end
  end)
end)
