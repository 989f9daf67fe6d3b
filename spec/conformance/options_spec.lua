-- SPDX-License-Identifier: MIT
--
-- What options are before anybody sets them, what they are then, and what names come to: over the
-- kernel and simulated.

local lan = require "spec.support.lan"
local socket = require "socket"

local TCP_DEFAULTS = {
  ["keepalive"] = false, ["reuseaddr"] = false, ["reuseport"] = false, ["tcp-nodelay"] = true,
  ["tcp-keepidle"] = 7200, ["tcp-keepcnt"] = 9, ["tcp-keepintvl"] = 75,
  ["linger"] = { on = false, timeout = 0 },
}
local UDP_DEFAULTS = {
  ["broadcast"] = false, ["dontroute"] = false, ["reuseaddr"] = false, ["reuseport"] = false,
  ["ip-multicast-ttl"] = 1, ["ip-multicast-loop"] = true, ["ip-multicast-if"] = "0.0.0.0",
}

local function assert_defaults(sock, defaults)
  for name, value in pairs(defaults) do
    assert.same({ name, value }, { name, (sock:getoption(name)) })
  end
end

lan.describe("options", function(calm)
  calm("have Linux's defaults", function()
    local tcp <close> = assert(socket.tcp4())
    local udp <close> = assert(socket.udp4())
    assert_defaults(tcp, TCP_DEFAULTS)
    assert_defaults(udp, UDP_DEFAULTS)
  end)

  calm("keep what they are set to", function()
    local tcp <close> = assert(socket.tcp4())
    for name, value in pairs {
      ["keepalive"] = true, ["reuseaddr"] = true, ["reuseport"] = true, ["tcp-nodelay"] = false,
      ["tcp-keepidle"] = 60, ["tcp-keepcnt"] = 3, ["tcp-keepintvl"] = 10,
      ["linger"] = { on = true, timeout = 5 },
    } do
      assert.equal(1, tcp:setoption(name, value))
      assert.same({ name, value }, { name, (tcp:getoption(name)) })
    end
  end)

  calm("give twice the size of a buffer, as Linux counts", function()
    local tcp <close> = assert(socket.tcp4())
    for _, name in ipairs { "recv-buffer-size", "send-buffer-size" } do
      assert.equal(1, tcp:setoption(name, 50000))
      assert.equal(100000, tcp:getoption(name))
    end
  end)

  calm("of a listener are those of what it accepts", function(net)
    local server, port = net:listen()
    assert(server:setoption("keepalive", true))
    local client = assert(socket.connect(net.far, port))
    local conn = assert(server:accept())
    assert.is_true(conn:getoption "keepalive")
    assert.is_true(conn:getoption "tcp-nodelay")
    assert.is_false(client:getoption "keepalive")
  end)

  calm("tell an error once", function(net)
    local port = net:free_port()
    local client = assert(socket.tcp4())
    client:settimeout(0)
    client:connect(net.far, port)
    assert.equal(client, (select(2, socket.select(nil, { client }, 600)))[1])
    assert.is_not_nil(client:getoption "error")
    assert.same({}, { client:getoption "error" })
  end)

  calm("out of range are refused", function()
    local tcp <close> = assert(socket.tcp4())
    local udp <close> = assert(socket.udp4())
    for name, value in pairs {
      ["tcp-keepidle"] = 0, ["tcp-keepcnt"] = 128, ["tcp-keepintvl"] = 32768,
    } do
      assert.is_nil((tcp:setoption(name, value)))
    end
    assert.is_nil((udp:setoption("ip-multicast-ttl", 256)))
    assert.is_nil((udp:setoption("ip-add-membership",
      { multiaddr = "10.1.2.3", interface = "0.0.0.0" })))
  end)
end)

lan.describe("names", function(calm)
  calm("of the own host have an address, and addresses a name", function()
    local name = assert(socket.dns.gethostname())
    assert.is_string(name)
    local address, resolved = socket.dns.toip "localhost"
    assert.equal("127.0.0.1", address)
    assert.same({ name = "localhost", alias = {}, ip = { "127.0.0.1" } }, resolved)
    assert.equal("localhost", (socket.dns.tohostname "127.0.0.1"))
  end)

  calm("of the far host resolve to its address", function(net)
    assert.equal(net.far, (socket.dns.toip(net.far_name)))
    local list = assert(socket.dns.getaddrinfo(net.far_name))
    assert.same({ family = "inet", addr = net.far }, list[#list])
    assert.equal(net.far_name, (socket.dns.tohostname(net.far)))
  end)

  calm("that are addresses resolve to themselves", function(net)
    assert.same({ { family = "inet", addr = net.far } }, socket.dns.getaddrinfo(net.far))
    assert.same({ { family = "inet6", addr = net.far6 } }, socket.dns.getaddrinfo(net.far6))
  end)

  calm("that nobody has resolve to nothing", function()
    local address, message = socket.dns.toip "no-such-host.invalid"
    assert.is_nil(address)
    assert.is_string(message)
  end)
end)
