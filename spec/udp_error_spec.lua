-- SPDX-License-Identifier: MIT
--
-- What the kernel refuses to send, and what a peer's machine refuses: who is told, and that nobody
-- else suffers from it.

local socket = require "socket"
local task = require "lariat.task"

local REFUSED = "127.255.255.255" -- by the kernel, without the option "broadcast"
local DENIED, GONE = "permission denied", "connection refused"

local function bound()
  local udp = assert(socket.udp4())
  assert(udp:setsockname("127.0.0.1", 0))
  udp:settimeout(5)
  local _, port = udp:getsockname()
  return udp, port
end

-- All that has come.
local function received(udp)
  local list = {}
  udp:settimeout(0)
  repeat
    local data = udp:receive()
    list[#list + 1] = data
  until not data
  udp:settimeout(5)
  return list
end

describe("a datagram that the kernel refuses to send", function()
  it("takes none of those to other peers with it", function()
    local first <close>, first_port = bound()
    local last <close>, last_port = bound()
    local sender <close> = socket.udp4()
    local results
    for _ = 1, 50 do
      results = {
        { sender:sendto("heartbeat", "127.0.0.1", first_port) },
        { sender:sendto("heartbeat", REFUSED, first_port) },
        { sender:sendto("heartbeat", "127.0.0.1", last_port) },
      }
      task.yield()
    end
    assert.equal(50, #received(first))
    assert.equal(50, #received(last))
    assert.same({ { 9 }, { nil, DENIED }, { 9 } }, results) -- each is told its own
  end)

  it("is told once, by the next call that sends, which sends first", function()
    local peer <close>, port = bound()
    local sender <close> = socket.udp4()
    assert.equal(3, sender:sendto("all", REFUSED, port))
    task.yield()
    assert.same({ nil, DENIED }, { sender:sendto("one", "127.0.0.1", port) })
    assert.same({ 3 }, { sender:sendto("two", "127.0.0.1", port) })
    assert.same({ "one", "two" }, received(peer))
  end)

  it("is told by sendmany, which sends its whole list", function()
    local peer <close>, port = bound()
    local sender <close> = socket.udp4()
    local list = {}
    for i = 1, 100 do list[i] = { "to " .. i, i % 50 == 25 and REFUSED or "127.0.0.1", port } end
    assert.same({ nil, DENIED, 100 }, { sender:sendmany(list) })
    assert.equal(98, #received(peer))
    sender:sendmany(list)
    assert.equal(98, #received(peer))
  end)

  it("is no matter of those who receive", function()
    local sender <close>, port = bound()
    sender:sendto("all", REFUSED, port)
    task.yield()
    sender:settimeout(0)
    assert.same({ nil, "timeout" }, { sender:receive() })
    assert.same({ nil, "timeout" }, { sender:receivefrom() })
    assert.same({ nil, "timeout" }, { sender:receivemany() })
    local waiting = task.spawn(sender:datagrams())
    sender:settimeout(5)
    sender:sendto("to itself", "127.0.0.1", port)
    assert.equal("to itself", (waiting:join()))
  end)

  it("can be sent once the kernel lets it", function()
    local peer <close> = socket.udp4()
    peer:setsockname("0.0.0.0", 0)
    local _, port = peer:getsockname()
    local sender <close> = socket.udp4()
    for _ = 1, 3 do
      sender:sendto("no", REFUSED, port)
      task.yield()
    end
    sender:setoption("broadcast", true)
    assert.equal(3, sender:sendto("yes", REFUSED, port))
    assert.equal(3, sender:sendto("yes", REFUSED, port))
    assert.same({ "yes", "yes" }, received(peer))
  end)

  it("is told also of more peers than are remembered", function()
    local peer <close>, port = bound()
    local sender <close> = socket.udp4()
    for _ = 1, 3 do
      for i = 1, 40 do sender:sendto("all", REFUSED, i) end
      sender:sendto("one", "127.0.0.1", port)
      task.yield()
    end
    assert.equal(3, #received(peer))
  end)
end)

describe("a connected peer that has gone", function()
  local udp, port

  before_each(function()
    local holder
    holder, port = bound()
    udp = bound()
    udp:setpeername("127.0.0.1", port)
    holder:close()
  end)

  after_each(function() udp:close() end)

  it("is told of by the second send", function()
    assert.equal(1, udp:send "x")
    task.yield()
    assert.same({ nil, GONE }, { udp:send "y" })
    udp:settimeout(0)
    assert.same({ nil, "timeout" }, { udp:receive() }) -- once
  end)

  for name, call in pairs {
    receive = function() return udp:receive() end,
    receivemany = function() return udp:receivemany() end,
    datagrams = function()
      local _, message = pcall(udp:datagrams())
      return nil, (message:gsub("^.*: ", ""))
    end,
    sendmany = function()
      local ok, message = udp:sendmany { "a", "b" }
      return ok, message
    end,
  } do
    it("is told of by " .. name, function()
      udp:send "x"
      task.yield()
      assert.same({ nil, GONE }, { call() })
    end)

    it("is told of by " .. name .. " also if the kernel told it to a batch", function()
      udp:send "x"
      udp:send "y" -- at its end the refusal of the first has come
      task.yield()
      assert.same({ nil, GONE }, { call() })
    end)
  end

  it("ends a receive that waits, also if the kernel told it to a batch", function()
    local waiting = task.spawn(udp.receive, udp)
    task.yield()
    udp:send "x"
    udp:send "y"
    assert.same({ nil, GONE }, { waiting:join() })
  end)

  it("makes select return, also if the kernel told it to a batch", function()
    udp:send "x"
    udp:send "y"
    task.yield()
    udp:getoption "error" -- what the kernel had to tell of the second
    assert.same({ udp, [udp] = 1 }, (socket.select({ udp }, nil, 5)))
    assert.same({ nil, GONE }, { udp:receive() })
  end)

  it("and is back hears what is sent then", function()
    udp:send "x"
    task.yield()
    local peer <close> = assert(socket.udp4())
    assert(peer:setsockname("127.0.0.1", port))
    peer:settimeout(5)
    assert.same({ nil, GONE }, { udp:send "lost, as is told" })
    assert.equal(5, udp:send "heard")
    assert.equal("heard", peer:receive())
  end)

  it("is no matter of who is talked to next", function()
    local peer <close>, other = bound()
    udp:send "x"
    task.yield()
    udp:setpeername "*"
    udp:sendto("sent first", "127.0.0.1", other)
    udp:sendto("and then", "127.0.0.1", other)
    assert.equal("sent first", peer:receive())
    assert.equal("and then", peer:receive())
  end)
end)
