-- SPDX-License-Identifier: MIT
--
-- socket.dns.use: everything that looks up names asks lariat.dns, or the system.

local dns = require "lariat.dns"
local nameserver = require "spec.support.nameserver"
local net = require "spec.support.net"
local order = require "lariat.internal.dns.order"
local peers = require "spec.support.peers"
local socket = require "socket"
local task = require "lariat.task"

local UNKNOWN = "host or service not provided, or not known"
local TEMPORARY = "temporary failure in name resolution"

describe("with socket.dns.use 'lariat'", function()
  local server
  before_each(function()
    server = nameserver.start {
      ["here.test A"] = { { address = "127.0.0.1" } },
      ["both.test A"] = { { address = "127.0.0.1" } },
      ["both.test AAAA"] = { { address = "::1" } },
      ["alias.test *"] = { { type = "CNAME", target = "here.test" } },
      ["7.2.0.192.in-addr.arpa PTR"] = { { target = "seven.test" } },
      ["8.2.0.192.in-addr.arpa PTR"] = function(reply) reply.rcode = "SERVFAIL" return true end,
      ["silent.test *"] = function() return nil end,
    }
    dns.configure { servers = server.text, timeout = 5, search = { "test" } }
    assert.equal("system", socket.dns.use "lariat")
  end)
  after_each(function()
    assert.equal("lariat", socket.dns.use "system")
    dns.configure()
    server:close()
  end)

  it("connect finds a name that only that server knows", function()
    local port, stop <close> = net.server(function(conn) conn:send "hello\n" end)
    for _, name in ipairs { "here.test", "both.test", "alias.test", "here", "HERE.test." } do
      local conn <close> = assert(socket.connect(name, port))
      assert.equal("hello", conn:receive())
    end
    local four <close> = assert(socket.connect4("both.test", port))
    assert.equal("hello", four:receive())
    assert.same({ nil, UNKNOWN }, { socket.connect6("here.test", port) })
    assert.same({ nil, UNKNOWN }, { socket.connect("nowhere.test", port) })
    assert(stop)
  end)

  it("connect knows localhost and the hosts file without asking", function()
    local port, stop <close> = net.server(function(conn) conn:send "hello\n" end)
    local conn <close> = assert(socket.connect("localhost", port))
    assert.equal("hello", conn:receive())
    assert.equal(0, server.questions)
    assert(stop)
  end)

  it("so do bind, sendto and setpeername", function()
    local listener <close> = assert(socket.bind("here.test", 0))
    assert.equal("127.0.0.1", (listener:getsockname()))
    local there <close>, here = socket.udp4(), socket.udp4()
    assert(there:setsockname("127.0.0.1", 0))
    local _, port = there:getsockname()
    assert.equal(1, here:sendto("x", "here.test", port) and 1)
    assert.equal("x", there:receive())
    assert(here:setpeername("alias.test", port))
    assert.equal("127.0.0.1", (here:getpeername()))
    here:close()
  end)

  it("socket.dns answers from there", function()
    local ip, resolved = socket.dns.toip "alias.test"
    assert.equal("127.0.0.1", ip)
    assert.same({ name = "here.test", alias = {}, ip = { "127.0.0.1" } }, resolved)
    local found = assert(socket.dns.getaddrinfo "both.test")
    assert.same({ { family = "inet6", addr = "::1" }, { family = "inet", addr = "127.0.0.1" } },
      found)
    assert.equal("seven.test", (socket.dns.tohostname "192.0.2.7"))
    assert.same({ nil, UNKNOWN }, { socket.dns.tohostname "192.0.2.9" })
    assert.same({ nil, TEMPORARY }, { socket.dns.tohostname "192.0.2.8" })
    local names, service = socket.dns.getnameinfo("192.0.2.7", "80")
    assert.same({ "seven.test" }, names)
    assert.equal("http", service)
    assert.same({ "192.0.2.9" }, (socket.dns.getnameinfo "192.0.2.9"))
    assert.equal("192.0.2.7", (socket.dns.getaddrinfo "192.0.2.7")[1].addr)
    for _, name in ipairs { "", ("a"):rep(300), "\xff\xfe", "a..b", "1.2.3.4.5" } do
      local list, why = socket.dns.getaddrinfo(name)
      assert.same({ nil, UNKNOWN }, { list, why:sub(1, #UNKNOWN) })
    end
  end)

  it("a lookup ends at once with its task, its timeout or its socket", function()
    local looking = task.spawn(socket.dns.toip, "silent.test")
    local tcp = socket.tcp()
    local connecting = task.spawn(tcp.connect, tcp, "silent.test", 9)
    while server.questions < 2 do task.yield() end
    looking:cancel()
    assert.same({ nil, "cancelled" }, { looking:join() })
    tcp:close()
    connecting:cancel()
    connecting:join()
    assert.same({ nil, "timeout" }, { socket.connect("silent.test", 9, { timeout = 0.05 }) })
    assert.same({ nil, "deadline" }, { task.timeout(0.05, socket.dns.getaddrinfo, "silent.test") })
    assert.equal("127.0.0.1", (socket.dns.toip "here.test"))
  end)

  it("a failure of the name servers is temporary", function()
    dns.configure { servers = "127.0.0.1:" .. peers.free_port(), timeout = 5 }
    assert.same({ nil, TEMPORARY }, { socket.dns.toip "here.test" })
  end)

  it("a thousand lookups go on beside those that nobody answers", function()
    local held = {}
    for i = 1, 50 do held[i] = task.spawn(socket.dns.toip, "silent.test") end
    setmetatable(server.zone, { __index = function(_, key)
      return key:find "^n%d+%.test A$" and { { address = "127.0.0.1" } } or nil
    end })
    local count = 1000 // (tonumber(os.getenv "SCALE") or 1)
    local found = peers.together(count, function(i)
      return (socket.dns.toip("n" .. i .. ".test"))
    end)
    for i = 1, count do assert.equal("127.0.0.1", found[i]) end
    for _, t in ipairs(held) do
      assert.equal("waiting", t:status())
      t:cancel()
      t:join()
    end
  end)
end)

describe("socket.dns.use", function()
  it("says what is in force, and refuses anything else", function()
    assert.equal("system", socket.dns.use())
    assert.error_matches(function() socket.dns.use "bind" end,
      "bad argument #1 to 'use' %('lariat' or 'system' expected, got 'bind'%)")
    assert.error_matches(function() socket.dns.use(5) end, "got number")
    assert.equal("system", socket.dns.use "system")
  end)
end)

it("addresses are tried in the order of RFC 6724", function()
  assert.same({ "::1", "127.0.0.1" }, order.sort { "127.0.0.1", "::1" })
  assert.same({ "127.0.0.1" }, order.sort { "127.0.0.1" })
  -- A source in the loopback's scope fits the loopback's addresses only.
  assert.same({ "127.0.0.2", "127.0.0.1" }, order.sort { "127.0.0.2", "127.0.0.1" })
end)
