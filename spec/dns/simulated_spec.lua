-- SPDX-License-Identifier: MIT
--
-- lariat.dns on a simulated network, against a simulated name server: loss, time, and what each
-- machine knows for itself.

local dns = require "lariat.dns"
local nameserver = require "spec.support.nameserver"
local order = require "lariat.internal.dns.order"
local sim = require "lariat.sim"
local socket = require "socket"
local task = require "lariat.task"

-- The address of a machine, as the network itself knows it.
local function address_of(name) return (socket.dns.toip(name)) end

-- A name server on a machine "ns"; `log` says what was asked.
local function server(net, zone, log)
  net:host("ns", function()
    local s = nameserver.start(zone, "*", 53)
    s.log = log or s.log
    task.event():wait()
  end)
end

describe("on a simulated network", function()
  sim.it("names are found through loss, duplicates and delay", {
    seeds = 30, loss = 0.2, duplicate = 0.1, reorder = 0.2,
  }, function(net)
    net:host("web", function()
      socket.serve("*", 80, function(conn) conn:send "hello\n" end)
    end)
    local zone = {}
    server(net, zone)
    net:client("client", function()
      zone["www.test A"] = { { address = address_of "web" } }
      dns.configure { servers = address_of "ns", timeout = 1, attempts = 5 }
      socket.dns.use "lariat"
      for _ = 1, 20 do
        dns.flush()
        local records, message = dns.resolve("www.test", "A")
        assert(records or message == "timeout", message)
        if records then assert.equal(address_of "web", records[1].address) end
      end
      local conn
      repeat conn = socket.connect("www.test", 80) until conn
      assert.equal("hello", conn:receive())
      conn:close()
    end)
  end)

  sim.it("what is known is known for its time, and what is not there for as long", {
    seeds = 3, swarm = false, split = false, max_time = 200000 },
    function(net)
      local log = {}
      local function soa(minimum, ttl)
        local record = {}
        for key, value in pairs(nameserver.SOA) do record[key] = value end
        record.minimum, record.ttl = minimum, ttl
        return { record }
      end
      server(net, {
        ["long.test A"] = { { address = "192.0.2.1", ttl = 100 },
          { address = "192.0.2.2", ttl = 200 } },
        ["short.test A"] = { { address = "192.0.2.3", ttl = 0 } },
        ["none.test *"] = function(reply)
          reply.rcode, reply.authorities = "NXDOMAIN", soa(60, 300)
          return true
        end,
        ["empty.test *"] = function(reply) reply.authorities = soa(300, 60) return true end,
        ["unsaid.test *"] = function(reply) reply.rcode = "NXDOMAIN" return true end,
        ["broken.test *"] = function(reply) reply.rcode = "SERVFAIL" return true end,
        ["ever.test A"] = { { address = "192.0.2.4", ttl = 1 << 31 } },
        ["ages.test A"] = { { address = "192.0.2.5", ttl = (1 << 31) - 1 } },
      }, log)
      net:client("client", function()
        dns.configure { servers = address_of "ns", attempts = 1 }
        local function asked(name, kind)
          local before = #log
          local records = dns.resolve(name, kind or "A")
          return #log - before, records and records[1].ttl
        end
        assert.same({ 1, 100 }, { asked "long.test" })
        socket.sleep(60)
        assert.same({ 0, 40 }, { asked "LONG.test" })
        socket.sleep(41)
        assert.same({ 1, 100 }, { asked "long.test" })
        assert.same({ 1, 0 }, { asked "short.test" })
        assert.same({ 1, 0 }, { asked "short.test" })
        assert.equal(1, (asked "none.test"))
        assert.equal(0, (asked("none.test", "MX"))) -- there is nothing of that name at all
        socket.sleep(61)
        assert.equal(1, (asked("none.test", "MX")))
        assert.equal(1, (asked "empty.test"))
        assert.equal(0, (asked "empty.test"))
        assert.equal(1, (asked("empty.test", "MX")))
        socket.sleep(61)
        assert.equal(1, (asked "empty.test"))
        for _, name in ipairs { "unsaid.test", "broken.test", "ever.test" } do
          assert.equal(1, (asked(name)))
          assert.equal(1, (asked(name)))
        end
        assert.same({ 1, (1 << 31) - 1 }, { asked "ages.test" })
        socket.sleep(86401)
        assert.equal(1, (asked "ages.test"))
      end)
    end)

  local calm = { seeds = 3, swarm = false }
  sim.it("a server that refuses costs no time, one that is silent its own only", calm, function(net)
    server(net, { ["a.test A"] = { { address = "192.0.2.1" } } })
    net:host("silent", function()
      local udp = socket.udp4()
      udp:setsockname("*", 53)
      task.event():wait()
    end)
    net:host("deaf", function() task.event():wait() end)
    net:client("client", function()
      local servers = {}
      for i, name in ipairs { "deaf", "silent", "deaf", "ns" } do servers[i] = address_of(name) end
      dns.configure { servers = servers, timeout = 5 }
      local began = task.now()
      assert.equal("192.0.2.1", assert(dns.resolve("a.test", "A"))[1].address)
      assert.is_true(task.now() - began < 6)
    end)
  end)

  sim.it("each machine knows for itself, until it crashes", calm, function(net)
    local log = {}
    server(net, { ["a.test A"] = { { address = "192.0.2.1" } } }, log)
    local function ask()
      assert.equal("system", socket.dns.use())
      socket.dns.use "lariat"
      assert.equal("no name servers: see dns.configure", select(2, dns.resolve("a.test", "A")))
      dns.configure { servers = address_of "ns", search = { "test" } }
      assert.equal("192.0.2.1", (socket.dns.toip "a"))
      assert.equal("192.0.2.1", (socket.dns.toip "a"))
      assert.equal("ns", (socket.dns.tohostname(address_of "ns")))
    end
    net:host("one", function()
      ask()
      task.event():wait()
    end)
    net:client("two", function()
      socket.sleep(10)
      ask()
      net:crash "one"
      net:restart "one"
      socket.sleep(10)
      assert.equal(3, #log)
    end)
  end)

  sim.it("a lookup that a crash interrupts leaves nothing behind", { seeds = 20 }, function(net)
    server(net, { ["a.test *"] = function() return nil end })
    net:host("one", function()
      dns.configure { servers = address_of "ns", timeout = 1000 }
      socket.dns.use "lariat"
      for _ = 1, 10 do task.spawn(socket.connect, "a.test", 80) end
      socket.dns.toip "a.test"
    end)
    net:client("two", function()
      socket.sleep(5)
      net:crash "one"
      socket.sleep(5)
    end)
  end)

  sim.it("addresses are tried in the order of RFC 6724", { seeds = 1 }, function(net)
    net:client("client", function()
      assert.same({ "10.0.0.9", "fd00::9" }, order.sort { "fd00::9", "10.0.0.9" })
      assert.same({ "fd00::1:1", "fd00::ffff:1" }, order.sort { "fd00::ffff:1", "fd00::1:1" })
    end)
  end)
end)

it("a resolver's choices are the seed's", function()
  local function run(seed)
    return sim.try({ seed = seed, loss = 0.3, echo = false }, function(net)
      server(net, { ["some-name.test A"] = { { address = "192.0.2.1" } } })
      net:client("client", function()
        dns.configure { servers = address_of "ns", attempts = 5 }
        for _ = 1, 10 do
          dns.flush()
          dns.resolve("some-name.test", "A")
        end
      end)
    end).hash
  end
  assert.equal(run(5), run(5))
  assert.not_equal(run(5), run(6))
end)
