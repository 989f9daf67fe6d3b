-- SPDX-License-Identifier: MIT
--
-- Multicast on the loopback interface, over IPv4 and IPv6.

local socket = require "socket"

local GROUP, OTHER_GROUP = "239.255.76.82", "239.255.76.83"
local GROUP6 = "ff02::4c:5254"

local function listener(group)
  local udp = assert(socket.udp4())
  assert(udp:setsockname("0.0.0.0", 0))
  assert(udp:setoption("ip-add-membership", { multiaddr = group, interface = "127.0.0.1" }))
  udp:settimeout(5)
  local _, port = udp:getsockname()
  return udp, port
end

-- Sends by the loopback interface.
local function speaker()
  local udp = assert(socket.udp4())
  assert(udp:setoption("ip-multicast-if", "127.0.0.1"))
  return udp
end

describe("multicast over inet", function()
  it("reaches whoever has joined the group", function()
    local a <close>, port = listener(GROUP)
    local sender <close> = speaker()
    sender:sendto("to the group", GROUP, port)
    local data, host = a:receivefrom()
    assert.same({ "to the group", "127.0.0.1" }, { data, host })
  end)

  it("reaches every member that shares the port", function()
    local members = {}
    local port = 0
    for i = 1, 3 do
      local udp = assert(socket.udp4())
      assert(udp:setoption("reuseaddr", true))
      assert(udp:setsockname("0.0.0.0", port))
      assert(udp:setoption("ip-add-membership", { multiaddr = GROUP, interface = "127.0.0.1" }))
      udp:settimeout(5)
      port = select(2, udp:getsockname())
      members[i] = udp
    end
    local sender <close> = speaker()
    sender:sendto("to all", GROUP, port)
    for _, udp in ipairs(members) do
      assert.equal("to all", udp:receive())
      udp:close()
    end
  end)

  it("no longer reaches who has left", function()
    local a <close>, port = listener(GROUP)
    local sender <close> = speaker()
    assert.equal(1, a:setoption("ip-drop-membership",
      { multiaddr = GROUP, interface = "127.0.0.1" }))
    sender:sendto("too late", GROUP, port)
    sender:sendto("directly", "127.0.0.1", port)
    assert.equal("directly", a:receive())
  end)

  it("cannot be left without being in it", function()
    local a <close> = listener(GROUP)
    assert.same({ nil, "setsockopt failed" }, { a:setoption("ip-drop-membership",
      { multiaddr = OTHER_GROUP, interface = "127.0.0.1" }) })
  end)

  it("keeps what it is told of looping", function()
    local sender <close> = speaker()
    for _, on in ipairs { false, true } do
      assert.equal(1, sender:setoption("ip-multicast-loop", on))
      assert.equal(on, sender:getoption "ip-multicast-loop")
    end
  end)

  it("keeps the number of hops it is given", function()
    local sender <close> = speaker()
    assert.equal(1, sender:setoption("ip-multicast-ttl", 7))
    assert.equal(7, sender:getoption "ip-multicast-ttl")
    assert.equal("127.0.0.1", sender:getoption "ip-multicast-if")
  end)

  it("names what is wrong with a membership", function()
    local udp <close> = socket.udp4()
    for _, case in ipairs {
      { {}, "multiaddr" },
      { { multiaddr = GROUP }, "interface" },
      { { multiaddr = "nonsense", interface = "*" }, "multiaddr" },
      { { multiaddr = GROUP, interface = "nonsense" }, "interface" },
      { "not a table", "table expected" },
    } do
      local ok, message = pcall(udp.setoption, udp, "ip-add-membership", case[1])
      assert.is_false(ok)
      assert.matches(case[2], message)
    end
    assert.is_nil((udp:setoption("ip-add-membership", { multiaddr = "10.0.0.1", interface = "*" })))
  end)
end)

-- Whether a datagram to the group gets out by an interface: not every one knows multicast.
local function speaker6(interface)
  local udp = assert(socket.udp6())
  udp:setoption("cork", false) -- errors at once
  if udp:setoption("ipv6-multicast-if", interface) and udp:sendto("", GROUP6, 9) then return udp end
  udp:close()
end

local function find_interface6()
  for interface = 1, 64 do
    local udp <close> = speaker6(interface)
    if udp then return interface end
  end
end

describe("multicast over inet6", function()
  local interface = find_interface6()
  if not interface then return pending "needs an interface with IPv6 multicast" end

  local function listener6()
    local udp = assert(socket.udp6())
    assert(udp:setsockname("::", 0))
    assert(udp:setoption("ipv6-add-membership", { multiaddr = GROUP6, interface = interface }))
    udp:settimeout(5)
    local _, port = udp:getsockname()
    return udp, port
  end

  it("reaches whoever has joined the group", function()
    local a <close>, port = listener6()
    local sender <close> = speaker6(interface)
    assert.equal(6, sender:sendto("to six", GROUP6, port))
    local data, host, from = a:receivefrom()
    assert.equal("to six", data)
    a:sendto("answer", host, from) -- the address names the interface, if it must
    sender:settimeout(5)
    assert.equal("answer", sender:receive())
  end)

  it("no longer reaches who has left", function()
    local a <close>, port = listener6()
    local sender <close> = speaker6(interface)
    assert.equal(1, a:setoption("ipv6-drop-membership",
      { multiaddr = GROUP6, interface = interface }))
    sender:sendto("too late", GROUP6, port)
    sender:sendto("directly", "::1", port)
    assert.equal("directly", a:receive())
  end)

  it("stays silent on this machine with loop off", function()
    local a <close>, port = listener6()
    local sender <close> = speaker6(interface)
    assert.equal(1, sender:setoption("ipv6-multicast-loop", false))
    assert.is_false(sender:getoption "ipv6-multicast-loop")
    sender:sendto("unheard", GROUP6, port)
    assert.equal(1, sender:setoption("ipv6-multicast-loop", true))
    sender:sendto("heard", GROUP6, port)
    assert.equal("heard", a:receive())
  end)

  it("keeps the number of hops it is given", function()
    local sender <close> = socket.udp6()
    assert.equal(1, sender:setoption("ipv6-multicast-hops", 9))
    assert.equal(9, sender:getoption "ipv6-multicast-hops")
  end)
end)
