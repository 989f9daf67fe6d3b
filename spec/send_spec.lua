-- SPDX-License-Identifier: MIT
--
-- Sending: what of which string goes out, what `last` says when it does not, and that bytes arrive
-- once and in order. Corking and the ends of streams are in send_end_spec.lua.

local net = require "spec.support.net"
local socket = require "socket"
local task = require "lariat.task"

local SCALE = tonumber(os.getenv "SCALE") or 1

-- A stream of bytes in which every position can be told: 8 bytes a number.
local function numbered(size)
  local parts = {}
  for i = 1, size // 8 do parts[i] = ("%07d\n"):format(i) end
  return table.concat(parts)
end

-- Sends until the peer, who does not read, holds it up. Returns how many bytes were taken.
local function fill(sock)
  local chunk, total = numbered(64 * 1024), 0
  sock:settimeout(0)
  while true do
    local last, message, partial = sock:send(chunk)
    total = total + (last or partial)
    if not last then
      assert(message == "timeout", message)
      return total
    end
  end
end

describe("send", function()
  local near, far

  before_each(function()
    near, far = net.pair()
    near:setoption("send-buffer-size", 16384) -- and so the kernel does not find more room later
    far:setoption("recv-buffer-size", 16384)
  end)

  after_each(function()
    near:close()
    far:close()
  end)

  it("returns the index of the last byte", function()
    assert.same({ 5, nil, nil }, { near:send "hello" })
    assert.equal(3, select("#", near:send "!"))
    assert.equal("integer", math.type((near:send "")))
    assert.equal("hello!", far:receive(6))
  end)

  it("takes i and j as string.sub does", function()
    local cases = {
      { 1, -1, "123456" }, { 3, nil, "3456" }, { 2, 4, "234" }, { -2, nil, "56" },
      { -3, -2, "45" }, { 0, 2, "12" }, { -100, 1, "1" }, { 5, 100, "56" }, { 6, 6, "6" },
    }
    for _, case in ipairs(cases) do
      local i, j, expected = case[1], case[2], case[3]
      local last = near:send("123456", i, j)
      assert.equal(expected, far:receive(#expected))
      assert.equal(select(2, ("123456"):find(expected, 1, true)), last)
    end
  end)

  it("of an empty range sends nothing", function()
    assert.equal(0, near:send "")
    assert.equal(3, near:send("123456", 4, 3))
    assert.equal(6, near:send("123456", 7))
    assert.equal(1, near:send "x")
    assert.equal("x", far:receiveany())
  end)

  it("takes numbers", function()
    near:send(42)
    near:send(1.5)
    assert.equal("421.5", far:receive(5))
  end)

  it("takes a table, nested ones in place", function()
    assert.equal(11, near:send { "a", 1, { "b", { 2.5, {} }, "c" }, "\r\n", "", "xy" })
    assert.equal("a1b2.5c\r\nxy", far:receive(11))
    assert.equal(4, near:send({ "12", "3456" }, 3, 4))
    assert.equal("34", far:receive(2))
    assert.equal(0, near:send {})
  end)

  it("takes tables of few strings, of many, and with a number among them", function()
    local few, many = { "a", "", "bc" }, {}
    for i = 1, 40 do many[i] = ("%02d"):format(i) end
    assert.equal(3, near:send(few))
    assert.equal(80, near:send(many))
    assert.equal(3, near:send { "x", 1, "y" })
    assert.equal("abc" .. table.concat(many) .. "x1y", far:receive(86))
  end)

  it("counts a table as one message when the peer does not read", function()
    local taken = fill(near)
    local parts = { "last ", "words" }
    assert.same({ "timeout", 0 }, { select(2, near:send(parts)) })
    local receiving = task.spawn(far.receive, far, "*a")
    near:settimeout(5)
    assert.equal(10, near:send(parts))
    near:shutdown "send"
    local all = assert(receiving:join())
    assert.equal(taken + 10, #all)
    assert.equal("last words", all:sub(-10))
  end)

  it("of what cannot be sent names it", function()
    assert.error_matches(function() near:send() end, "bad argument #1 to 'send'")
    assert.error_matches(function() near:send(true) end, "bad argument #1 to 'send'")
    assert.error_matches(function() near:send("x", "y") end, "bad argument #2 to 'send'")
    assert.error_matches(function() near:send("x", 1, 0 / 0) end, "bad argument #3 to 'send'")
    assert.error_matches(function() near:send { "x", false } end, "element 2: string expected")
    assert.error_matches(function() near:send { { print } } end, "element 1: string expected")
    local endless = {}
    endless[1] = endless
    assert.error_matches(function() near:send(endless) end, "nested too deeply")
    near:send "nothing of that went out"
    assert.equal("nothing", far:receive(7))
  end)

  it("to a peer that does not read times out with the index of the last byte taken", function()
    local taken = fill(near)
    near:shutdown "send"
    assert.equal(taken, #far:receive "*a")
  end)

  it("of a message that the kernel takes in part goes on where that ended", function()
    local message = numbered(256 * 1024)
    near:settimeout(0)
    local _, why, partial = near:send(message)
    assert.equal("timeout", why)
    local receiving = task.spawn(far.receive, far, "*a")
    near:settimeout(5)
    assert.equal(#message, near:send(message, partial + 1))
    assert.equal(#message, near:send(message))
    near:shutdown "send"
    assert.is_true(receiving:join() == message .. message)
  end)

  it("resumed at last + 1 repeats and loses nothing", function()
    local message = numbered(math.max(2 * 1024 * 1024 // SCALE, 512 * 1024))
    local half = #message // 2
    local receiving = task.spawn(function()
      return far:receive "*a"
    end)
    local at, timeouts = 0, 0
    near:settimeout(0)
    while at < #message do
      local last, why, partial = near:send(message, at + 1, at < half and half or nil)
      if not last then
        assert.equal("timeout", why)
        assert.is_true(partial >= at and partial < #message)
        timeouts = timeouts + 1
        task.yield()
      end
      at = last or partial
    end
    near:shutdown "send"
    assert.is_true(timeouts > 0)
    assert.is_true(message == receiving:join())
  end)

  it("holds at most the high-water mark for a peer that never reads", function()
    local taken = fill(near)
    for _ = 1, 10000 do
      local last, _, partial = near:send(("x"):rep(1000))
      taken = taken + (last or partial)
    end
    assert.equal(taken, (select(2, near:getstats())))
    local _, unsent = net.kernel_queues(near)
    local held = taken - unsent - net.kernel_queues(far)
    assert.is_true(held > 0 and held <= 64 * 1024, held .. " bytes held")
  end)

  it("waits for the peer to read, and others go on meanwhile", function()
    local taken = fill(near)
    near:settimeout(nil)
    local sending = task.spawn(near.send, near, ("y"):rep(300000))
    task.yield()
    assert.equal("waiting", sending:status())
    assert.equal(taken, #far:receive(taken))
    assert.equal(("y"):rep(300000), far:receive(300000))
    assert.equal(300000, sending:join())
  end)

  it("of several tasks that all have to wait goes out, message after message", function()
    local senders, messages, random, total = 4, math.max(30 // SCALE, 10), math.random, 0
    local sock <close>, peer = net.pair()
    sock:setoption("send-buffer-size", 60000)
    for sender = 1, senders do
      local list, text = {}, string.char(96 + sender):rep(500000)
      for i = 1, messages do
        list[i] = string.pack("s4", text:sub(1, random(#text)))
        total = total + #list[i]
      end
      task.spawn(function()
        for _, message in ipairs(list) do assert(sock:send(message)) task.yield() end
      end)
    end
    local pieces = {}
    while total > 0 do
      local piece = assert(peer:receiveany(random(65536)))
      pieces[#pieces + 1], total = piece, total - #piece
      for _ = 1, random(100) == 1 and 50 or 0 do task.yield() end
    end
    local all, at, count = table.concat(pieces), 1, 0
    while at <= #all do
      local text, following = string.unpack("s4", all, at)
      assert.is_true(text == text:sub(1, 1):rep(#text))
      at, count = following, count + 1
    end
    assert.equal(senders * messages, count)
    peer:close()
  end)

  -- The turn is used up, at the very least, by one of these numbers of calls.
  for before = 61, 65 do
    it("that uses up a turn is not cut by another task's, " .. before .. " calls on", function()
      local sock <close>, peer = net.pair()
      local other <close>, another = net.pair()
      local _ <close> = peer
      local _ <close> = another
      other:setoption("cork", false)
      local long, short = ("a"):rep(8 << 20), ("b"):rep(1000)
      task.spawn(function()
        for _ = 1, before do other:send "x" end
        sock:send(long)
      end)
      task.spawn(sock.send, sock, short)
      task.yield()
      local all = peer:receive(#long + #short)
      assert.is_true(all == long .. short or all == short .. long) -- the turn may end before it
    end)

    it("waits for those in line, " .. before .. " calls on", function()
      local sock <close>, peer = net.pair()
      local _ <close> = peer
      local taken = fill(sock)
      sock:settimeout(nil)
      local udp <close> = assert(socket.udp4())
      assert(udp:setsockname("127.0.0.1", 0))
      udp:settimeout(0)
      local flushing = task.spawn(sock.flush, sock)
      task.yield()
      local sending = task.spawn(function()
        for _ = 1, before do udp:receive() end
        return sock:send(("a"):rep(1 << 20))
      end)
      task.yield()
      assert(peer:receive(taken))
      assert.is_true(peer:receive(1 << 20) == ("a"):rep(1 << 20))
      assert.equal(1, flushing:join())
      assert.equal(1 << 20, (sending:join()))
    end)
  end

  it("of several tasks goes out as whole messages in order", function()
    fill(near)
    near:settimeout(nil)
    local senders, ended = {}, {}
    for i = 1, 5 do
      senders[i] = task.spawn(function()
        assert(near:send((tostring(i)):rep(200000) .. "\n"))
        ended[#ended + 1] = i
      end)
    end
    task.yield()
    local last = task.spawn(function()
      for i = 1, 5 do senders[i]:join() end
      near:shutdown "send"
    end)
    local all = far:receive "*a"
    last:join()
    for i = 1, 5 do
      local expected = (tostring(i)):rep(200000) .. "\n"
      local at = #all - (6 - i) * #expected + 1
      assert.is_true(all:sub(at, at + #expected - 1) == expected, "message " .. i)
    end
    assert.same({ 1, 2, 3, 4, 5 }, ended)
  end)

  it("small ones queue behind a large one that waits", function()
    fill(near)
    near:settimeout(nil)
    local large = task.spawn(near.send, near, ("L"):rep(500000))
    task.yield()
    local small = task.spawn(near.send, near, "small")
    task.yield()
    assert.same({ "waiting", "waiting" }, { large:status(), small:status() })
    local closing = task.spawn(function()
      large:join()
      small:join()
      near:shutdown "send"
    end)
    local all = far:receive "*a"
    closing:join()
    assert.equal("LLLsmall", all:sub(-8))
    assert.equal(1, select(2, all:gsub("small", "")))
  end)

  it("that times out while others queue lets them go on", function()
    fill(near)
    near:settimeout(0.02)
    local first = task.spawn(near.send, near, ("a"):rep(400000))
    task.yield()
    near:settimeout(nil)
    local second = task.spawn(near.send, near, ("b"):rep(100))
    task.yield()
    assert.equal("timeout", (select(2, first:join())))
    local closing = task.spawn(function()
      second:join()
      near:shutdown "send"
    end)
    assert.equal(("b"):rep(100), far:receive "*a":sub(-100))
    closing:join()
  end)

  it("of a closed socket says closed and 0", function()
    near:close()
    assert.same({ nil, "closed", 0 }, { near:send "x" })
  end)

  it("ends when another task closes the socket", function()
    fill(near)
    near:settimeout(nil)
    local sending = task.spawn(near.send, near, ("z"):rep(1000000))
    task.yield()
    near:close()
    local last, message, partial = sending:join()
    assert.same({ nil, "closed" }, { last, message })
    assert.is_true(partial >= 0 and partial < 1000000)
  end)

  it("to a peer that has reset says closed, now and later", function()
    local port, server <close> = net.server(function(conn)
      conn:setoption("linger", { on = true, timeout = 0 })
      conn:receive(1)
    end)
    assert.is_table(server)
    local client <close> = assert(socket.connect("127.0.0.1", port))
    client:send "x"
    assert.same({ nil, "closed", "" }, { client:receive() })
    local last, message = client:send(("x"):rep(100000))
    assert.same({ nil, "closed" }, { last, message })
    assert.same({ nil, "closed", 0 }, { client:send "x" })
  end)

  it("to a peer that has closed fails once the kernel knows", function()
    far:close()
    local message
    repeat
      near:send "x"
      message = select(2, near:flush())
      task.yield()
    until message
    assert.equal("closed", message)
    assert.same({ nil, "closed", 0 }, { near:send "x" })
  end)
end)
