-- SPDX-License-Identifier: MIT
--
-- Datagrams over UDP: boundaries, sizes, peers and groups, over the kernel and simulated.

local lan = require "spec.support.lan"
local sim = require "lariat.sim"
local socket = require "socket"
local task = require "lariat.task"

-- A UDP socket of this host.
local function udp4()
  local udp = assert(socket.udp4())
  udp:settimeout(30)
  return udp
end

lan.describe("a datagram", function(calm)
  calm("keeps its boundaries and names its sender", function(net)
    local far, port = net:udp()
    local near = udp4()
    assert(near:setsockname(net.near, 0))
    local _, own = near:getsockname()
    for _, data in ipairs { "one", "", "three" } do
      assert.equal(1, near:sendto(data, net.far, port) and 1)
      assert.same({ data, net.near, own }, { far:receivefrom() })
    end
    far:sendto("answer", net.near, own)
    assert.same({ "answer", net.far, port }, { near:receivefrom() })
  end)

  calm("is answered at the address it came from", function(net)
    local far, port = net:udp()
    local near = udp4()
    near:sendto("question", net.far, port)
    local data, host, from = far:receivefrom()
    far:sendto(data .. " answered", host, from)
    assert.equal("question answered", near:receive())
  end)

  calm("travels over IPv6", function(net)
    local far, port = net:udp(net.far6)
    local near = assert(socket.udp6())
    near:settimeout(30)
    assert(near:setsockname(net.near6, 0))
    near:sendto("six", net.far6, port)
    assert.same({ "six", net.near6, (select(2, near:getsockname())) }, { far:receivefrom() })
  end)

  calm("has sizes from 0 to 65507 bytes", function(net)
    local far, port = net:udp()
    local near = udp4()
    for _, size in ipairs { 0, 1, 1500, 65507 } do
      local data = ("0123456789abcdef"):rep(4096):sub(1, size)
      assert.equal(size, near:sendto(data, net.far, port))
      assert.equal(data, far:receive())
    end
    assert.same({ nil, "Message too long" }, { near:sendto(("x"):rep(65508), net.far, port) })
  end)

  calm("is cut to the size that was asked for, and its rest is gone", function(net)
    local far, port = net:udp()
    local near = udp4()
    near:sendto("0123456789", net.far, port)
    near:sendto("next", net.far, port)
    assert.equal("0123", far:receive(4))
    assert.equal("next", far:receive())
    near:sendto("0123456789", net.far, port)
    assert.equal("012", (far:receivefrom(3)))
  end)

  calm("to nobody is lost without a word if the sender has no peer", function(net)
    local port = net:free_port "udp4"
    local near, far, own = udp4(), net:udp()
    assert.equal(1, near:sendto("x", net.far, port))
    assert.equal(1, near:sendto("y", net.far, own))
    assert.equal("y", far:receive())
    assert.equal(1, near:sendto("x", net.far, port))
  end)

  calm("to nobody is refused if the sender has a peer", function(net)
    local port = net:free_port "udp4"
    local near = udp4()
    assert.equal(1, near:setpeername(net.far, port))
    assert.equal(1, near:send "x")
    assert.same({ nil, "connection refused" }, { near:receive() })
    near:settimeout(0)
    assert.same({ nil, "timeout" }, { near:receive() })
  end)

  calm("that was refused is told of by whatever is called next", function(net)
    local port = net:free_port "udp4"
    for _, call in ipairs {
      function(near) return near:send "y" end,
      function(near) return near:sendmany { "y", "z" } end,
      function(near) return near:receive() end,
      function(near) return near:receivemany() end,
      function(near) return nil, select(2, pcall(near:datagrams())):match "connection refused" end,
    } do
      local near = udp4()
      assert.equal(1, near:setpeername(net.far, port))
      assert.equal(1, near:send "x")
      assert.equal(near, (socket.select({ near }, nil, 30))[1])
      local result, message = call(near)
      assert.same({ nil, "connection refused" }, { result, message })
      near:close()
    end
  end)

  calm("that the sender's kernel refuses keeps none from others", function(net)
    local far, port = net:udp()
    local near = udp4()
    for i = 1, 3 do
      near:sendto("to all", "255.255.255.255", port) -- which needs an option
      near:sendto("to itself", "127.255.255.255", port) -- and so does this
      near:sendmany { { "a" .. i, net.far, port }, { "b" .. i, net.far, port } }
      assert.equal("a" .. i, far:receive())
      assert.equal("b" .. i, far:receive())
    end
  end)

  calm("to the broadcast address of the loopback stays on the machine", function(net)
    local far, port = net:udp "0.0.0.0"
    local own = net.far == net.near and far or udp4()
    if own ~= far then assert(own:setsockname("0.0.0.0", port)) end
    local near = udp4()
    near:sendto("refused", "127.255.255.255", port)
    task.yield()
    assert.same({ nil, "permission denied" }, { near:sendto("again", "127.255.255.255", port) })
    near:setoption("broadcast", true)
    assert.equal(7, near:sendto("allowed", "127.255.255.255", port))
    local _, near_port = near:getsockname()
    assert.same({ "allowed", "127.0.0.1", near_port }, { own:receivefrom() })
    far:settimeout(0)
    assert.same({ nil, "timeout" }, { far:receive() })
  end)

  calm("to an unconnected socket's full buffer is dropped", function(net)
    local far, port = net:udp()
    local near = udp4()
    far:setoption("recv-buffer-size", 4096)
    for _ = 1, 100 do assert.equal(1000, near:sendto(("x"):rep(1000), net.far, port)) end
    assert.equal(1000, #far:receive())
    local count = 1
    far:settimeout(0.5)
    while far:receive() do count = count + 1 end
    assert.is_true(count < 100)
  end)

  calm("wakes the tasks that receive in their order", function(net)
    local far, port = net:udp()
    local first, second = task.spawn(far.receive, far), task.spawn(far.receive, far)
    task.yield()
    local near = udp4()
    near:sendto("1", net.far, port)
    assert.equal("1", first:join())
    near:sendto("2", net.far, port)
    assert.equal("2", second:join())
  end)
end)

lan.describe("a connected UDP socket", function(calm)
  calm("hears its peer only", function(net)
    local peer, port = net:udp()
    local stranger = net:udp()
    local near = udp4()
    assert.equal(1, near:setpeername(net.far, port))
    assert.same({ net.far, port, "inet" }, { near:getpeername() })
    local host, own = near:getsockname()
    assert.equal(net.near, host)
    stranger:sendto("from a stranger", net.near, own)
    peer:sendto("from the peer", net.near, own)
    assert.equal("from the peer", near:receive())
    near:settimeout(0)
    assert.same({ nil, "timeout" }, { near:receive() })
  end)

  calm("that gives up its peer hears everybody, once it is bound again", function(net)
    local peer, port = net:udp()
    local near = udp4()
    assert.equal(1, near:setpeername(net.far, port))
    assert.equal(1, near:setpeername "*")
    assert.equal("udp{unconnected}", near.class)
    assert.same({ "0.0.0.0", 0, "inet" }, { near:getsockname() })
    assert.equal(5, near:sendto("again", net.far, port))
    assert.equal("again", peer:receive())
  end)

  calm("can take another peer", function(net)
    local first, first_port = net:udp()
    local second, second_port = net:udp()
    local near = udp4()
    near:setpeername(net.far, first_port)
    near:send "to the first"
    near:setpeername "*"
    near:setpeername(net.far, second_port)
    near:send "to the second"
    assert.equal("to the first", first:receive())
    assert.equal("to the second", second:receive())
  end)

  calm("must have a peer to send without an address", function()
    local near = udp4()
    assert.has_error(function() near:send "x" end)
  end)
end)

lan.describe("many datagrams", function(calm)
  calm("are sent and received in one call each", function(net)
    local far, port = net:udp()
    local near = udp4()
    near:setpeername(net.far, port)
    local list = {}
    for i = 1, 40 do list[i] = ("datagram %d"):format(i) end
    assert.equal(40, near:sendmany(list))
    local got = {}
    while #got < 40 do
      for _, datagram in ipairs(assert(far:receivemany(64))) do got[#got + 1] = datagram end
    end
    assert.equal(40, #got)
    local text = got[40]
    assert.equal("datagram 40", type(text) == "table" and text[1] or text)
  end)

  calm("are iterated over", function(net)
    local far, port = net:udp()
    local near = udp4()
    local echoing = task.spawn(function()
      for data, host, from in far:datagrams() do
        far:sendto(data:upper(), host, from)
        if data == "end" then break end
      end
    end)
    for _, word in ipairs { "a", "b", "end" } do
      near:sendto(word, net.far, port)
      assert.equal(word:upper(), near:receive())
    end
    echoing:join()
  end)
end)

lan.describe("a broadcast", function(calm)
  calm("needs the option", function()
    local near = udp4()
    assert.same({ nil, "permission denied" }, { near:sendto("x", "255.255.255.255", 9) })
    assert.same({ nil, "permission denied" }, { near:setpeername("255.255.255.255", 9) })
    assert.is_false(near:getoption "broadcast")
    assert.equal(1, near:setoption("broadcast", true))
    assert.is_true(near:getoption "broadcast")
  end)
end)

lan.describe("a multicast group", function(calm)
  local GROUP = "239.255.76.90"

  local function membership(net)
    return { multiaddr = GROUP, interface = net.simulated and "0.0.0.0" or "127.0.0.1" }
  end

  -- A socket of the far host, bound to the wildcard address.
  local function wildcard(net)
    return net:udp "0.0.0.0"
  end

  local function speaker(net)
    local near = udp4()
    if not net.simulated then near:setoption("ip-multicast-if", "127.0.0.1") end
    return near
  end

  calm("reaches its members until they leave", function(net)
    local member, port = wildcard(net)
    local near = speaker(net)
    assert.equal(1, member:setoption("ip-add-membership", membership(net)))
    near:sendto("hello, members", GROUP, port)
    assert.equal("hello, members", member:receive())
    assert.equal(1, member:setoption("ip-drop-membership", membership(net)))
    near:sendto("too late", GROUP, port)
    near:sendto("directly", net.far, port)
    assert.equal("directly", member:receive())
  end)

  calm("is joined once and left once", function(net)
    local member = wildcard(net)
    assert.equal(1, member:setoption("ip-add-membership", membership(net)))
    assert.is_nil((member:setoption("ip-add-membership", membership(net))))
    assert.equal(1, member:setoption("ip-drop-membership", membership(net)))
    assert.is_nil((member:setoption("ip-drop-membership", membership(net))))
  end)

  calm("is heard by every socket of a host that shares the port", function(net)
    local function sharing(port)
      local udp = assert(socket.udp4())
      udp:settimeout(30)
      assert(udp:setoption("reuseaddr", true))
      assert(udp:setsockname("0.0.0.0", port))
      return udp, (select(2, udp:getsockname()))
    end
    local first, port = net.on_far(sharing, 0)
    local second = net.on_far(sharing, port)
    local near = speaker(net)
    assert(first:setoption("ip-add-membership", membership(net)))
    near:sendto("to all", GROUP, port)
    assert.equal("to all", first:receive())
    assert.equal("to all", second:receive())
  end)
end)

-- The loopback interface of the kernel carries these back whatever is asked of it.
describe("a simulated host that speaks to many", function()
  local GROUP, PORT = "239.255.76.91", 4000

  -- What each of the hosts a, b and c hears if a runs speak(udp).
  local function heard(speak)
    local words = {}
    local function listen(name)
      local udp <close> = assert(socket.udp4())
      assert(udp:setsockname("*", PORT))
      assert(udp:setoption("ip-add-membership", { multiaddr = GROUP, interface = "*" }))
      if name == "a" then speak(udp) end
      udp:settimeout(5)
      words[name] = udp:receive() or "nothing"
    end
    sim.run({}, function(net)
      for _, name in ipairs { "b", "c", "a" } do net:client(name, listen, name) end
    end)
    return words
  end

  it("reaches all by broadcast, itself too", function()
    assert.same({ a = "all", b = "all", c = "all" }, heard(function(udp)
      assert(udp:setoption("broadcast", true))
      assert.equal(3, udp:sendto("all", "255.255.255.255", PORT))
    end))
  end)

  it("reaches all by multicast, itself too", function()
    assert.same({ a = "all", b = "all", c = "all" }, heard(function(udp)
      assert.equal(3, udp:sendto("all", GROUP, PORT))
    end))
  end)

  it("reaches the others if it does not loop", function()
    assert.same({ a = "nothing", b = "others", c = "others" }, heard(function(udp)
      assert(udp:setoption("ip-multicast-loop", false))
      udp:sendto("others", GROUP, PORT)
    end))
  end)

  it("reaches itself only if its datagrams may take no hop", function()
    assert.same({ a = "myself", b = "nothing", c = "nothing" }, heard(function(udp)
      assert(udp:setoption("ip-multicast-ttl", 0))
      udp:sendto("myself", GROUP, PORT)
    end))
  end)
end)
