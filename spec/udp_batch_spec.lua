-- SPDX-License-Identifier: MIT
--
-- Datagrams in batches: one system call receives or sends many, and nobody can tell.

local misuse = require "spec.support.misuse"
local socket = require "socket"
local task = require "lariat.task"

local COUNT = 20000 // (tonumber(os.getenv "SCALE") or 1)

local function bound(host)
  local udp = assert((host and host:find ":" and socket.udp6 or socket.udp4)())
  assert(udp:setsockname(host or "127.0.0.1", 0))
  udp:settimeout(5)
  local _, port = udp:getsockname()
  return udp, port
end

local function numbers(from, to, prefix)
  local list = {}
  for i = from, to do list[#list + 1] = (prefix or "") .. i end
  return list
end

-- Takes n datagrams one by one.
local function receive_all(udp, n)
  local list = {}
  for i = 1, n do list[i] = assert(udp:receive()) end
  return list
end

describe("receivemany", function()
  it("returns all that has come, with addresses, in order", function()
    local a <close>, port = bound()
    local b <close>, port_b = bound()
    for i = 1, 5 do b:sendto("d" .. i, "127.0.0.1", port) end
    task.yield()
    local list = assert(a:receivemany())
    assert.equal(5, #list)
    for i, entry in ipairs(list) do
      assert.same({ "d" .. i, "127.0.0.1", port_b }, entry)
    end
  end)

  it("returns no more than asked for and keeps the rest", function()
    local a <close>, port = bound()
    for i = 1, 10 do a:sendto(tostring(i), "127.0.0.1", port) end
    task.yield()
    assert.equal(3, #a:receivemany(3))
    assert.is_true(a:dirty())
    assert.equal("4", a:receive())
    assert.equal(6, #a:receivemany(100))
    assert.is_false(a:dirty())
  end)

  it("gathers more than one batch of the kernel's", function()
    local a <close>, port = bound()
    for i = 1, 100 do a:sendto(tostring(i), "127.0.0.1", port) end
    task.yield()
    local list = assert(a:receivemany(1024))
    assert.equal(100, #list)
    assert.equal("100", list[100][1])
  end)

  it("waits for the first datagram only", function()
    local a <close>, port = bound()
    local waiting = task.spawn(function() return a:receivemany(10) end)
    task.yield()
    assert.equal("waiting", waiting:status())
    a:sendto("one", "127.0.0.1", port)
    local list = waiting:join()
    assert.same({ { "one", "127.0.0.1", port } }, list)
  end)

  it("times out, ends with close, and checks its argument", function()
    local a <close> = bound()
    a:settimeout(0)
    assert.same({ nil, "timeout" }, { a:receivemany() })
    assert.has_error(function() a:receivemany(0) end)
    assert.has_error(function() a:receivemany(1025) end)
    assert.has_error(function() a:receivemany "x" end)
    a:settimeout(nil)
    local waiting = task.spawn(function() return a:receivemany() end)
    task.yield()
    a:close()
    assert.same({ nil, "closed" }, { waiting:join() })
    assert.same({ nil, "closed" }, { a:receivemany() })
  end)

  it("leaves what it did not take to tasks that wait in line", function()
    local a <close>, port = bound()
    local many = task.spawn(function() return #a:receivemany(2) end)
    local one = task.spawn(function() return a:receive() end)
    task.yield()
    for i = 1, 3 do a:sendto(tostring(i), "127.0.0.1", port) end
    assert.equal(2, (many:join()))
    assert.equal("3", (one:join()))
  end)
end)

describe("a finalizer that receives while another receive builds its list", function()
  it("changes no byte of it", function()
    local a <close>, port = bound()
    local other <close>, other_port = bound()
    local sender <close> = assert(socket.udp4())
    local armed = true
    local function arm()
      setmetatable({}, { __gc = function()
        for _ = 1, 2 do sender:sendto("intruder", "127.0.0.1", other_port) end
        other:settimeout(0)
        other:receive()
        if armed then arm() end
      end })
    end
    local pause = collectgarbage("setpause", 1)
    arm()
    for _ = 1, COUNT // 100 do
      for i = 1, 4 do sender:sendto("expected" .. i, "127.0.0.1", port) end
      local list = assert(a:receivemany(4))
      while #list < 4 do list[#list + 1] = assert(a:receivemany(1))[1] end
      for i = 1, 4 do assert(list[i][1] == "expected" .. i, list[i][1]) end
    end
    armed = false
    collectgarbage("setpause", pause)
  end)
end)

describe("a datagram held back for its batch", function()
  it("goes out as the options were when it was sent", function()
    local a <close> = socket.udp4()
    a:setsockname("0.0.0.0", 0)
    a:settimeout(5)
    local _, port = a:getsockname()
    local sender <close> = socket.udp4()
    sender:setoption("broadcast", true)
    sender:sendto("allowed", "127.255.255.255", port)
    sender:setoption("broadcast", false)
    assert.equal("allowed", a:receive())
  end)

  it("has bound its socket", function()
    local udp <close> = socket.udp4()
    udp:sendto("x", "127.0.0.1", 9)
    assert.is_true(select(2, udp:getsockname()) > 0)
    local other <close> = socket.udp4()
    other:sendto("x", "127.0.0.1", 9)
    assert.same({ nil, "Invalid argument" }, { other:setsockname("127.0.0.1", 0) })
  end)

  it("goes out though its socket is closed or connected elsewhere", function()
    local a <close>, port = bound()
    local sender = socket.udp4()
    sender:sendto("before close", "127.0.0.1", port)
    sender:close()
    assert.equal("before close", a:receive())
    local _ <close>, elsewhere = bound()
    local other <close> = socket.udp4()
    other:sendto("before connect", "127.0.0.1", port)
    other:setpeername("127.0.0.1", elsewhere)
    assert.equal("before connect", a:receive())
  end)
end)

-- Runs of one size to one peer leave as one message that the kernel cuts apart.
describe("datagrams of one size", function()
  local SIZES = { 10, 10, 10, 0, 0, 10, 9, 9, 2000, 2000, 10, 10, 1232, 1232, 1233, 1233 }

  local function content(i) return (tostring(i):rep(2000)):sub(1, SIZES[i]) end

  local function arrive_as_sent(host)
    local first <close>, first_port = bound(host)
    local second <close>, second_port = bound(host)
    local sender <close> = bound(host)
    for i = 1, #SIZES do assert.equal(SIZES[i], sender:sendto(content(i), host, first_port)) end
    for i = 1, #SIZES do assert.equal(content(i), first:receive()) end
    for i = 1, #SIZES do
      sender:sendto(content(i), host, i % 3 == 0 and first_port or second_port)
    end
    for i = 1, #SIZES do
      assert.equal(content(i), (i % 3 == 0 and first or second):receive())
    end
    sender:setpeername(host, second_port)
    for i = 1, #SIZES do sender:send(content(i)) end
    for i = 1, #SIZES do assert.equal(content(i), second:receive()) end
  end

  it("arrive as they were sent, among others", function()
    arrive_as_sent "127.0.0.1"
    arrive_as_sent "::1"
  end)

  it("are each refused by a peer that has gone", function()
    local peer, port = bound()
    local sender <close> = bound()
    sender:setpeername("127.0.0.1", port)
    peer:close()
    sender:send "gone"
    task.yield()
    assert.same({ nil, "connection refused" }, { sender:receive() })
    for _ = 1, 4 do sender:send "gone" end
    task.yield()
    assert.same({ nil, "connection refused" }, { sender:receive() })
  end)
end)

describe("a receivefrom loop", function()
  it("is served in order while sockets take turns with their batches", function()
    local sockets, ports = {}, {}
    for s = 1, 4 do sockets[s], ports[s] = bound() end
    local sender <close> = bound()
    for i = 1, 25 do
      for s = 1, 4 do sender:sendto(s .. ":" .. i, "127.0.0.1", ports[s]) end
    end
    for i = 1, 25 do
      for s = 1, 4 do assert.equal(s .. ":" .. i, (sockets[s]:receivefrom())) end
    end
    for s = 1, 4 do
      sockets[s]:settimeout(0)
      assert.same({ nil, "timeout" }, { sockets[s]:receivefrom() })
      sockets[s]:close()
    end
  end)

  it("keeps the order of each sender when tasks send and receive at once", function()
    local server <close>, port = bound()
    local rounds = COUNT // 100
    local server_task = task.spawn(function()
      for data, host, from in server:datagrams() do server:sendto(data, host, from) end
    end)
    local clients = {}
    for c = 1, 10 do
      clients[c] = task.spawn(function()
        local udp <close> = bound()
        for i = 1, rounds do
          udp:sendto(c .. ":" .. i, "127.0.0.1", port)
          assert.equal(c .. ":" .. i, udp:receive())
        end
      end)
    end
    for c = 1, 10 do clients[c]:join() end
    server:close()
    server_task:join()
  end)

  it("loses what came to a socket that is closed, and nothing of others", function()
    local a <close>, port_a = bound()
    local b, port_b = bound()
    for i = 1, 3 do
      a:sendto("a" .. i, "127.0.0.1", port_a)
      a:sendto("b" .. i, "127.0.0.1", port_b)
    end
    assert.equal("b1", b:receive())
    assert.equal("a1", a:receive())
    b:close()
    assert.same({ "a2", "a3" }, receive_all(a, 2))
  end)
end)

describe("datagrams", function()
  it("iterates until another task closes the socket", function()
    local a, port = bound()
    a:settimeout(nil)
    local heard = {}
    local listener = task.spawn(function()
      for data, host, from in a:datagrams() do
        assert.same({ "127.0.0.1", port }, { host, from })
        heard[#heard + 1] = data
        if #heard == 3 then return "three" end
      end
    end)
    for i = 1, 3 do a:sendto("d" .. i, "127.0.0.1", port) end
    assert.equal("three", (listener:join()))
    assert.same(numbers(1, 3, "d"), heard)
    local ended = task.spawn(function()
      for _ in a:datagrams() do error "nothing was sent" end
      return "ended"
    end)
    task.yield()
    a:close()
    assert.equal("ended", (ended:join()))
  end)

  it("raises a timeout, which is no end", function()
    local a <close> = bound()
    for _, seconds in ipairs { 0, 0.005 } do
      a:settimeout(seconds)
      misuse.of(function() for _ in a:datagrams() do error "a datagram" end end, "timeout")
    end
  end)

  it("passes empty datagrams on without ending", function()
    local a <close>, port = bound()
    for _, data in ipairs { "", "", "end" } do a:sendto(data, "127.0.0.1", port) end
    local next_datagram = a:datagrams()
    assert.same({ "", "", "end" }, { (next_datagram()), (next_datagram()), (next_datagram()) })
  end)
end)
