-- SPDX-License-Identifier: MIT
--
-- UDP, one datagram at a time: unconnected and connected, over IPv4 and IPv6.

local socket = require "socket"
local task = require "lariat.task"

local LOOPBACK = { inet = "127.0.0.1", inet6 = "::1" }

-- A socket bound to a free port of the loopback address, and that port.
local function bound(family)
  local udp = assert((family == "inet6" and socket.udp6 or socket.udp4)())
  assert(udp:setsockname(LOOPBACK[family or "inet"], 0))
  udp:settimeout(5)
  local _, port = udp:getsockname()
  return udp, port
end

for _, family in ipairs { "inet", "inet6" } do
  local host = LOOPBACK[family]

  describe("udp over " .. family, function()
    it("carries a datagram and tells who sent it", function()
      local a <close>, port_a = bound(family)
      local b <close>, port_b = bound(family)
      assert.equal(5, a:sendto("hello", host, port_b))
      assert.same({ "hello", host, port_a }, { b:receivefrom() })
      assert.equal("integer", math.type(port_a))
    end)

    it("answers to the address a datagram came from", function()
      local server <close>, port = bound(family)
      local client <close> = family == "inet6" and socket.udp6() or socket.udp4()
      client:settimeout(5)
      client:sendto("ping", host, port)
      local data, from_host, from_port = server:receivefrom()
      server:sendto(data .. "pong", from_host, from_port)
      assert.equal("pingpong", client:receive())
    end)

    it("connected, sends and receives without an address", function()
      local a <close>, port_a = bound(family)
      local b <close>, port_b = bound(family)
      assert.equal(1, a:setpeername(host, port_b))
      assert.equal(1, b:setpeername(host, port_a))
      assert.equal(4, a:send "to b")
      assert.equal("to b", b:receive())
      assert.equal(4, b:send "to a")
      assert.equal("to a", a:receive())
      assert.same({ host, port_b, family }, { a:getpeername() })
    end)

    it("carries the largest datagram whole", function()
      local a <close> = bound(family)
      local b <close>, port = bound(family)
      local largest = family == "inet" and 65507 or 65527
      local data = ("0123456789abcdef"):rep(4096):sub(1, largest)
      assert.equal(largest, a:sendto(data, host, port))
      assert.equal(data, (b:receivefrom()))
    end)

    it("refuses a larger one and stays usable", function()
      local a <close> = bound(family)
      local b <close>, port = bound(family)
      local largest = family == "inet" and 65507 or 65527
      for _, size in ipairs { largest + 1, 70000, 1000000 } do
        assert.same({ nil, "Message too long", n = 2 },
          table.pack(a:sendto(("x"):rep(size), host, port)))
      end
      a:sendto("fits", host, port)
      assert.equal("fits", b:receive())
    end)
  end)
end

describe("a udp socket", function()
  it("is of another class once connected, and again once not", function()
    local _ <close>, port = bound()
    local udp <close> = socket.udp4()
    assert.matches("^udp{unconnected}", tostring(udp))
    udp:setpeername("127.0.0.1", port)
    assert.matches("^udp{connected}", tostring(udp))
    assert.equal(1, udp:setpeername "*")
    assert.matches("^udp{unconnected}", tostring(udp))
  end)

  it("hears only its peer while connected, and everyone afterwards", function()
    local udp <close>, port = bound()
    local peer <close>, peer_port = bound()
    local stranger <close> = socket.udp4()
    udp:setpeername("127.0.0.1", peer_port)
    stranger:sendto("from a stranger", "127.0.0.1", port)
    peer:sendto("from the peer", "127.0.0.1", port)
    assert.equal("from the peer", udp:receive())
    udp:setpeername "*" -- the kernel takes a port it has chosen back
    stranger:settimeout(5)
    stranger:setsockname("127.0.0.1", 0)
    udp:sendto("who is there?", stranger:getsockname())
    local _, host, from = stranger:receivefrom()
    stranger:sendto("from a stranger again", host, from)
    assert.equal("from a stranger again", udp:receive())
  end)

  it("throws on sendto while connected and on send while not", function()
    local _ <close>, port = bound()
    local udp <close> = socket.udp4()
    local bad_self = "calling '%s' on bad self (udp{%s} expected): "
    assert.has_error(function() udp:send "x" end, bad_self:format("send", "connected") ..
      "it has no peer; setpeername names one, sendto needs none")
    udp:setpeername("127.0.0.1", port)
    assert.has_error(function() udp:sendto("x", "127.0.0.1", port) end,
      bad_self:format("sendto", "unconnected") .. "it has a peer, given by setpeername")
  end)

  it("without a family takes that of the first address", function()
    local six <close>, port = bound "inet6"
    local udp <close> = socket.udp()
    assert.equal(-1, udp:getfd())
    assert.equal(3, udp:sendto("six", "::1", port))
    assert.equal("six", six:receive())
    assert.equal("inet6", udp:getfamily())
  end)

  it("gives a bound port to one socket only", function()
    local _ <close>, port = bound()
    local second <close> = socket.udp4()
    assert.same({ nil, "address already in use" }, { second:setsockname("127.0.0.1", port) })
  end)

  it("counts bytes and is closed for good", function()
    local a, port = bound()
    a:sendto("12345", "127.0.0.1", port)
    a:receive()
    local received, sent = a:getstats()
    assert.same({ 5, 5 }, { received, sent })
    assert.equal(1, a:close())
    assert.equal(1, a:close())
    assert.equal(-1, a:getfd())
    assert.same({ nil, "closed" }, { a:receive() })
    assert.same({ nil, "closed" }, { a:sendto("x", "127.0.0.1", port) })
    assert.same({ nil, "closed" }, { a:setpeername("127.0.0.1", port) })
    assert.same({ nil, "closed" }, { a:setsockname("127.0.0.1", 0) })
  end)
end)

describe("a datagram", function()
  it("goes to and comes from what getsockname returns, the family too", function()
    for _, host in ipairs { "127.0.0.1", "::1" } do
      local server, client = assert(socket.udp()), assert(socket.udp())
      assert(server:setsockname(host, 0))
      assert.equal(1, client:setpeername(server:getsockname()))
      client:send "to its name"
      assert.equal("to its name", server:receive())
      local host_, port, family = server:getsockname()
      server:close()
      local again <close> = assert(socket.udp())
      assert.equal(1, again:setsockname(host_, port, family))
      assert.same({ host_, port, family }, { again:getsockname() })
      client:close()
    end
  end)

  it("of no bytes arrives as an empty string", function()
    local a <close>, port = bound()
    local b <close>, port_b = bound()
    b:sendto("", "127.0.0.1", port)
    b:sendto("after", "127.0.0.1", port)
    assert.same({ "", "127.0.0.1", port_b }, { a:receivefrom() })
    assert.equal("after", a:receive())
    b:setpeername("127.0.0.1", port)
    assert.equal(0, b:send "")
    assert.equal("", a:receive())
  end)

  it("longer than asked for is cut and its rest is lost", function()
    local a <close>, port = bound()
    for _ = 1, 4 do a:sendto("0123456789", "127.0.0.1", port) end
    assert.equal("0123", a:receive(4))
    assert.same({ "012", "127.0.0.1", port }, { a:receivefrom(3) })
    assert.equal("", a:receive(0))
    assert.equal("0123456789", a:receive(10))
    a:settimeout(0)
    assert.same({ nil, "timeout" }, { a:receive() })
  end)

  it("may hold any byte", function()
    local a <close>, port = bound()
    a:sendto("\0\r\n\255\27\128", "127.0.0.1", port)
    assert.equal("\0\r\n\255\27\128", a:receive())
  end)
end)

describe("waiting for a datagram", function()
  it("ends with a timeout, at once with 0", function()
    local a <close> = bound()
    for _, seconds in ipairs { 0, 0.05 } do
      a:settimeout(seconds)
      assert.same({ nil, "timeout" }, { a:receive() })
      assert.same({ nil, "timeout" }, { a:receivefrom() })
    end
    a:settimeout(0.05, "t")
    assert.same({ nil, "timeout" }, { a:receivefrom() })
  end)

  it("with timeout 0 finds what the same script has just sent", function()
    local a <close>, port = bound()
    local b <close> = socket.udp4()
    a:settimeout(0)
    for i = 1, 100 do
      b:sendto("n" .. i, "127.0.0.1", port)
      assert.equal("n" .. i, a:receive())
    end
  end)

  it("ends when another task closes the socket", function()
    local a = bound()
    a:settimeout(nil)
    local one = task.spawn(function() return a:receivefrom() end)
    local other = task.spawn(function() return a:receive() end)
    task.yield()
    assert.equal("waiting", one:status())
    a:close()
    assert.same({ nil, "closed" }, { one:join() })
    assert.same({ nil, "closed" }, { other:join() })
  end)

  it("serves several tasks in the order they came, also from one batch", function()
    local a <close>, port = bound()
    local heard = {}
    local tasks = {}
    for i = 1, 8 do
      tasks[i] = task.spawn(function() table.insert(heard, i .. a:receive()) end)
    end
    task.yield()
    for i = 1, 8 do a:sendto(":" .. i, "127.0.0.1", port) end
    for i = 1, 8 do tasks[i]:join() end
    assert.equal("1:1 2:2 3:3 4:4 5:5 6:6 7:7 8:8", table.concat(heard, " "))
  end)

  it("passes a datagram on when its receiver is cancelled", function()
    local a <close>, port = bound()
    local heard = {}
    local function listen() table.insert(heard, (a:receive())) end
    local first, second, third
    first = task.spawn(function()
      listen()
      second:cancel() -- which has been woken for the next one and has not had its turn
    end)
    second, third = task.spawn(listen), task.spawn(listen)
    task.yield()
    for i = 1, 2 do a:sendto("d" .. i, "127.0.0.1", port) end
    first:join()
    second:join()
    third:join()
    assert.same({ "d1", "d2" }, heard)
  end)

  it("hears on a connected socket that the port is refused", function()
    local udp <close> = socket.udp4()
    udp:settimeout(5)
    local holder, port = bound()
    holder:close() -- nobody listens there
    udp:setpeername("127.0.0.1", port)
    udp:send "anybody?"
    assert.same({ nil, "connection refused" }, { udp:receive() })
  end)
end)

describe("a destination", function()
  it("may be a name", function()
    local a <close>, port = bound()
    local b <close> = socket.udp4()
    assert.equal(7, b:sendto("by name", "localhost", port))
    assert.equal("by name", a:receive())
    assert.equal(1, b:setpeername("localhost", port))
    b:send "connected by name"
    assert.equal("connected by name", a:receive())
  end)

  it("that nobody knows is told", function()
    local udp <close> = socket.udp4()
    for _, arguments in ipairs {
      { "sendto", "x", "no-such-host.invalid", 9 },
      { "setpeername", "no-such-host.invalid", 9 },
      { "setsockname", "no-such-host.invalid", 0 },
    } do
      assert.is_string(select(2, udp[arguments[1]](udp, table.unpack(arguments, 2))))
      assert.matches("^udp{unconnected}", tostring(udp))
    end
  end)

  it("outside the range of ports is told", function()
    local udp <close> = socket.udp4()
    for _, port in ipairs { -1, 65536, 1e9 } do
      local ok, message = udp:sendto("x", "127.0.0.1", port)
      assert.is_nil(ok)
      assert.matches("out of range", message)
    end
    assert.has_error(function() udp:sendto("x", "127.0.0.1") end)
    assert.has_error(function() udp:sendto({}, "127.0.0.1", 9) end)
  end)

  it("with a zero byte in it is told", function()
    local udp <close> = socket.udp4()
    for _, method in ipairs { "setpeername", "setsockname" } do
      assert.same({ nil, "host contains a zero byte" }, { udp[method](udp, "127.0.0.1\0x", 9) })
    end
    assert.same({ nil, "host contains a zero byte" }, { udp:sendto("x", "127.0.0.1\0x", 9) })
  end)

  it("that is a broadcast address needs the option", function()
    local a <close> = socket.udp4()
    a:settimeout(5)
    assert(a:setsockname("0.0.0.0", 0))
    local _, port = a:getsockname()
    local b <close> = socket.udp4()
    b:sendto("no", "127.255.255.255", port)
    task.yield() -- sent when the tasks have had their turn
    assert.same({ nil, "permission denied" }, { b:sendto("told now", "127.255.255.255", port) })
    assert.is_false(b:getoption "broadcast")
    assert.equal(1, b:setoption("broadcast", true))
    assert.equal(3, b:sendto("yes", "127.255.255.255", port))
    assert.equal("yes", a:receive())
  end)
end)
