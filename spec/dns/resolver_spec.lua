-- SPDX-License-Identifier: MIT
--
-- lariat.dns: what is asked, of whom and how often, and which answers are believed.

local dns = require "lariat.dns"
local lariat = require "lariat"
local messages = require "lariat.internal.dns.message"
local nameserver = require "spec.support.nameserver"
local peers = require "spec.support.peers"
local socket = require "socket"
local task = require "lariat.task"

local A = { { address = "192.0.2.1" } }

-- The resolver of this program asks that server, and forgets everything before.
local function ask_only(server, options)
  local o = { servers = server.text, timeout = 0.3 }
  for name, value in pairs(options or {}) do o[name] = value end
  dns.configure(o)
end

local function addresses(records, ...)
  if not records then return nil, records, ... end
  local list = {}
  for i, record in ipairs(records) do list[i] = record.address end
  return list
end

after_each(function() dns.configure() end)

describe("the resolver asks dnsmasq", function()
  local server, options

  -- It answers on a port of its own, and says nothing of when: ask until it does.
  setup(function()
    local port = peers.free_port()
    server = assert(lariat.run { "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--no-resolv",
      "--no-hosts", "--port=" .. port, "--listen-address=127.0.0.1", "--bind-interfaces",
      "--user=root", "--pid-file=", "--local=/test/", "--log-facility=-",
      "--host-record=a.test,192.0.2.1,2001:db8::1", "--host-record=a.test,192.0.2.2",
      "--host-record=four.test,192.0.2.4",
      "--cname=alias.test,a.test", "--mx-host=a.test,mail.test,10",
      "--mx-host=a.test,spare.test,20",
      "--srv-host=_sip._tcp.a.test,sip.test,5060,1,2", "--txt-record=a.test,one,two words",
      "--caa-record=a.test,0,issue,ca.test", "--ptr-record=7.2.0.192.in-addr.arpa,seven.test",
      "--dns-rr=a.test,2,026e73047465737400",                       -- NS ns.test
      "--dns-rr=a.test,65,00010000010003026832",                    -- HTTPS 1 . alpn=h2
      "--dns-rr=a.test,6,026e7304746573740001610474657374000000" ..
        "000100000002000000030000000400000005",
      stdout = "null", stderr = "null" })
    options = { servers = "127.0.0.1:" .. port, timeout = 5 }
    while not dns.resolve("a.test", "A", { servers = options.servers, timeout = 0.2 }) do
      assert.is_nil(server:wait(0.01))
    end
  end)
  teardown(function() server:close() end)

  it("for every type", function()
    local function one(kind, name)
      local records = assert(dns.resolve(name or "a.test", kind, options))
      for _, record in ipairs(records) do
        record.ttl, record.class = nil, nil
        assert.equal(kind, record.type)
      end
      return records
    end
    local found = addresses(one "A")
    table.sort(found)
    assert.same({ "192.0.2.1", "192.0.2.2" }, found)
    assert.equal("2001:db8::1", one "AAAA"[1].address)
    assert.equal("a.test", one("CNAME", "alias.test")[1].target)
    assert.equal("a.test", one("AAAA", "alias.test").canonical)
    local mx = one "MX"
    table.sort(mx, function(a, b) return a.preference < b.preference end)
    assert.same({ "mail.test", "spare.test" }, { mx[1].exchange, mx[2].exchange })
    assert.same({ name = "_sip._tcp.a.test", type = "SRV", priority = 1, weight = 2, port = 5060,
      target = "sip.test" }, one("SRV", "_sip._tcp.a.test")[1])
    assert.same({ "one", "two words" }, one "TXT"[1].texts)
    assert.equal("ns.test", one "NS"[1].target)
    assert.equal("seven.test", one("PTR", "7.2.0.192.in-addr.arpa")[1].target)
    assert.equal("seven.test", dns.resolve("192.0.2.7", "PTR", options)[1].target)
    local soa = one "SOA"[1]
    assert.same({ "ns.test", "a.test", 1, 5 }, { soa.mname, soa.rname, soa.serial, soa.minimum })
    local caa = one "CAA"[1]
    assert.same({ 0, "issue", "ca.test" }, { caa.flags, caa.tag, caa.value })
    local https = one "HTTPS"[1]
    assert.same({ 1, "", { { key = "alpn", protocols = { "h2" } } } },
      { https.priority, https.target, https.parameters })
  end)

  it("over TCP, and for what there is not", function()
    local tcp = { servers = options.servers, timeout = 5, tcp = true }
    dns.flush()
    assert.equal("2001:db8::1", dns.resolve("a.test", "AAAA", tcp)[1].address)
    assert.same({ nil, "no such record", "NODATA" }, { dns.resolve("four.test", "MX", options) })
  end)
end)

describe("a question", function()
  it("is asked again if no answer comes", function()
    local drop = 1
    local server <close> = nameserver.start { ["a.test A"] = function(reply, q)
      drop = drop - 1
      if drop >= 0 then return nil end
      nameserver.add(reply.answers, A, q)
      return true
    end }
    ask_only(server, { attempts = 3 })
    assert.same({ "192.0.2.1" }, addresses(dns.resolve("a.test", "A")))
    assert.equal(2, server.questions)
  end)

  it("times out, after the attempts or when the call's own time is up", function()
    local server <close> = nameserver.start { ["a.test A"] = function() return nil end }
    ask_only(server, { timeout = 0.05, attempts = 2 })
    assert.same({ nil, "timeout" }, { dns.resolve("a.test", "A") })
    assert.equal(2, server.questions)
    ask_only(server, { timeout = 30 })
    assert.same({ nil, "timeout" }, { dns.resolve("a.test", "A", { timeout = 0.05 }) })
  end)

  it("goes to the next server if one is silent, refuses, fails or is not there", function()
    local good <close> = nameserver.start { ["a.test A"] = A }
    local dead = ("127.0.0.1:%d"):format(peers.free_port())
    local bad <close> = nameserver.start {}
    for _, rcode in ipairs { "SERVFAIL", "REFUSED", "NOTIMP", 9, "BADVERS", "silent" } do
      bad.zone["a.test A"] = function(reply)
        reply.rcode = rcode ~= "BADVERS" and rcode or "NOERROR"
        if rcode == "BADVERS" then
          reply.additionals[1] = { name = "", type = "OPT", udp_size = 512, extended_rcode = 1,
            version = 0, options = {} }
        end
        return rcode ~= "silent" or nil
      end
      ask_only(good, { servers = { dead, bad.text, good.text }, timeout = 0.2 })
      assert.same({ "192.0.2.1" }, addresses(dns.resolve("a.test", "A")))
    end
    assert.equal(6, good.questions)
    dns.configure { servers = dead, timeout = 30 }
    assert.same({ nil, "connection refused" }, { dns.resolve("a.test", "A") })
    assert.same({ nil, "connection refused" }, { dns.resolve("a.test", "A", { tcp = true }) })
    bad.zone["a.test A"] = function(reply) reply.rcode = "SERVFAIL" return true end
    dns.configure { servers = bad.text, timeout = 30 }
    assert.same({ nil, "the server answers SERVFAIL" }, { dns.resolve("a.test", "A") })
  end)

  it("takes the late answer of a server that another was asked after", function()
    local asked = task.event()
    local slow <close> = nameserver.start { ["a.test A"] = function(reply, q)
      asked:wait()
      nameserver.add(reply.answers, A, q)
      return true
    end }
    local silent <close> = nameserver.start { ["a.test A"] = function() asked:set() return nil end }
    dns.configure { servers = { slow.text, silent.text }, timeout = 2, attempts = 1 }
    assert.same({ "192.0.2.1" }, addresses(dns.resolve("a.test", "A")))
  end)

  it("takes turns among servers with rotate", function()
    local one <close> = nameserver.start {}
    local two <close> = nameserver.start {}
    local zone = function(reply) reply.authorities = {} return true end
    one.zone["a.test *"], two.zone["a.test *"] = zone, zone
    dns.configure { servers = { one.text, two.text }, rotate = true }
    for _ = 1, 4 do dns.resolve("a.test", "A") end
    assert.same({ 2, 2 }, { one.questions, two.questions })
  end)

  it("goes over TCP if the answer is cut", function()
    local many = {}
    for i = 1, 200 do many[i] = { address = "192.0.2." .. i } end
    local server <close> = nameserver.start { ["a.test A"] = function(reply, q, context)
      if context.tcp then nameserver.add(reply.answers, many, q) else reply.tc = true end
      return true
    end }
    ask_only(server)
    assert.equal(200, #dns.resolve("a.test", "A"))
    assert.same({ "a.test A", "a.test A tcp" }, server.log)
  end)

  it("says how large an answer may be, but not to a server that does not know that", function()
    local sizes = {}
    local server <close> = nameserver.start {}
    server.zone["a.test *"] = function(reply, q, context)
      local option = context.message.additionals[1]
      sizes[#sizes + 1] = option and option.udp_size or 0
      if option then
        reply.rcode, reply.questions = "FORMERR", {}
      elseif q.type == "A" then
        nameserver.add(reply.answers, A, q)
      end
      return true
    end
    ask_only(server)
    assert.same({ "192.0.2.1" }, addresses(dns.resolve("a.test", "A")))
    assert.equal("no such record", select(2, dns.resolve("a.test", "AAAA")))
    assert.same({ 1232, 0, 0 }, sizes)
  end)

  it("has a random id and port, and letters of random case", function()
    local ids, ports, names, count = {}, {}, {}, 0
    local server <close> = nameserver.start { ["letters-of-a-name.test A"] = function(_, q, context)
      ids[context.message.id], ports[context.port], names[q.name] = true, true, true
      count = count + 1
      return true -- nothing, and not for how long: it is asked again each time
    end }
    ask_only(server, { timeout = 5 })
    for _ = 1, 20 do dns.resolve("letters-of-a-name.test", "A") end
    local function size(set)
      local n = 0
      for _ in pairs(set) do n = n + 1 end
      return n
    end
    assert.equal(20, count)
    assert.is_true(size(ids) > 15 and size(ports) > 10 and size(names) > 15)
  end)
end)

describe("an answer", function()
  it("that is not to the question is not believed", function()
    local liar = socket.udp4()
    local server <close> = nameserver.start { ["a.test A"] = function(reply, q, context)
      local function send(change, from)
        local lie = messages.dns:decode(messages.dns:encode(reply))
        nameserver.add(lie.answers, { { address = "192.0.2.66", name = "a.test" } }, q)
        change(lie)
        from:sendto(messages.dns:encode(lie), context.host, context.port)
      end
      local udp = context.server.udp
      send(function(m) m.id = m.id ~ 1 end, udp)
      send(function(m) m.qr = false end, udp)
      send(function(m) m.opcode = "STATUS" end, udp)
      send(function(m) m.questions[1].name = "b.test" end, udp)
      send(function(m) m.questions[1].type = "AAAA" end, udp)
      send(function(m) m.questions[1].class = "CH" end, udp)
      send(function(m) m.questions[2] = m.questions[1] end, udp)
      send(function(m) m.questions = {} end, udp)
      send(function() end, liar)
      udp:sendto("garbage", context.host, context.port)
      udp:sendto("", context.host, context.port)
      nameserver.add(reply.answers, A, q)
      return true
    end }
    ask_only(server)
    assert.same({ "192.0.2.1" }, addresses(dns.resolve("a.test", "A")))
    liar:close()
  end)

  it("holds records of other names, which are passed over", function()
    local server <close> = nameserver.start { ["a.test A"] = {
      { name = "evil.test", address = "192.0.2.66" }, { address = "192.0.2.1" },
      { type = "AAAA", address = "2001:db8::66" }, { class = "CH", address = "192.0.2.67" },
    } }
    ask_only(server)
    assert.same({ "192.0.2.1" }, addresses(dns.resolve("a.test", "A")))
    assert.equal("host not found", select(2, dns.resolve("evil.test", "A")))
  end)

  it("that has letters in another case is confirmed over TCP, once", function()
    local server <close> = nameserver.start {}
    server.zone["folded-name.test *"] = function(reply, q)
      q.name = q.name:lower()
      if q.type == "A" then nameserver.add(reply.answers, A, q) end
      return true
    end
    ask_only(server)
    assert.same({ "192.0.2.1" }, addresses(dns.resolve("folded-name.test", "A")))
    assert.equal("no such record", select(2, dns.resolve("folded-name.test", "MX")))
    assert.same({ "folded-name.test A", "folded-name.test A tcp", "folded-name.test MX" },
      server.log)
  end)

  it("has names as the script wrote them, whatever was sent", function()
    local server <close> = nameserver.start { ["mail.example.test MX"] = {
      { preference = 1, exchange = "MX.example.test" } } }
    ask_only(server)
    server.zone["mail.example.test MX"] = function(reply, q)
      nameserver.add(reply.answers, { { preference = 1,
        exchange = "MX" .. q.name:match "%..*" } }, q)
      return true
    end
    local records = assert(dns.resolve("mail.Example.test", "MX"))
    assert.same({ "mail.Example.test", "MX.Example.test" },
      { records[1].name, records[1].exchange })
  end)

  it("leads from alias to alias, also out of the answer", function()
    local server <close> = nameserver.start {
      ["one.test A"] = { { type = "CNAME", target = "two.test", ttl = 50 },
        { name = "TWO.test", type = "CNAME", target = "three.test", ttl = 200 } },
      ["three.test *"] = { { type = "CNAME", target = "four.test" } },
      ["four.test A"] = { { address = "192.0.2.4" }, { address = "192.0.2.5" } },
      ["gone.test A"] = { { type = "CNAME", target = "nowhere.test" } },
    }
    ask_only(server)
    local records = assert(dns.resolve("one.test", "A"))
    assert.same({ "192.0.2.4", "192.0.2.5" }, addresses(records))
    assert.equal("four.test", records.canonical)
    assert.same({ "one.test A", "three.test A", "four.test A" }, server.log)
    assert.equal("two.test", dns.resolve("one.test", "CNAME") == nil and "two.test")
    assert.same({ nil, "host not found", "NXDOMAIN" }, { dns.resolve("gone.test", "A") })
    assert.same({ nil, "host not found", "NXDOMAIN" }, { dns.resolve("gone.test", "A") })
    dns.flush()
    server.zone["gone.test A"] = function(reply, q)
      nameserver.add(reply.answers, { { type = "CNAME", target = "nowhere.test" } }, q)
      reply.rcode, reply.authorities = "NXDOMAIN", { nameserver.SOA }
      return true
    end
    assert.same({ nil, "host not found", "NXDOMAIN" }, { dns.resolve("gone.test", "A") })
    server.zone["gone.test CNAME"] = { { target = "nowhere.test" } }
    assert.equal("nowhere.test", dns.resolve("gone.test", "CNAME")[1].target)
  end)

  it("that leads round in circles is refused", function()
    local server <close> = nameserver.start {
      ["self.test A"] = { { type = "CNAME", target = "self.test" } },
      ["left.test A"] = { { type = "CNAME", target = "right.test" } },
      ["right.test A"] = { { type = "CNAME", target = "left.test" } },
    }
    ask_only(server)
    assert.same({ nil, "too many aliases" }, { dns.resolve("self.test", "A") })
    assert.same({ nil, "too many aliases" }, { dns.resolve("left.test", "A") })
    local n = 0
    server.zone["endless.test A"] = { { type = "CNAME", target = "n0.test" } }
    setmetatable(server.zone, { __index = function(_, key)
      if not key:find "^n%d+%.test A$" then return nil end
      n = n + 1
      return { { type = "CNAME", target = ("n%d.test"):format(n) } }
    end })
    assert.same({ nil, "too many aliases" }, { dns.resolve("endless.test", "A") })
    assert.is_true(n < 20)
  end)
end)

describe("a name", function()
  it("means the names of the search list, in the order that its dots decide", function()
    local server <close> = nameserver.start { ["www.b.test A"] = A, ["x.y A"] = A,
      ["c.a.test *"] = {}, ["c.a.test MX"] = { { preference = 1, exchange = "m.test" } } }
    ask_only(server, { search = { "a.test", "b.test." }, ndots = 1 })
    local function log_of(name, kind)
      server.log = {}
      dns.resolve(name, kind or "A")
      return table.concat(server.log, ", ")
    end
    assert.equal("www.a.test A, www.b.test A", log_of "www")
    assert.equal("x.y A", log_of "x.y")
    assert.equal("x.z A, x.z.a.test A, x.z.b.test A", log_of "x.z")
    assert.equal("www A", log_of "www.")
    assert.same({ nil, "no such record", "NODATA" }, { dns.resolve("c", "A") })
    ask_only(server, { search = { "a.test" }, ndots = 2 })
    assert.equal("q.z.a.test A, q.z A", log_of "q.z")
  end)

  it("is not asked for with a domain that makes it too long, or is none", function()
    local server <close> = nameserver.start { ["x.test A"] = A }
    ask_only(server, { search = { ("long."):rep(50) .. "test", "a..b", "test" } })
    assert.same({ "192.0.2.1" }, addresses(dns.resolve("x", "A")))
    assert.same({ nil, "host not found", "NXDOMAIN" }, { dns.resolve(("y"):rep(60), "A") })
    assert.same({ "x.test A", ("y"):rep(60) .. ".test A", ("y"):rep(60) .. " A" }, server.log)
  end)

  it("that is known without asking is not asked for", function()
    local server <close> = nameserver.start {}
    ask_only(server)
    assert.same({ "127.0.0.1" }, addresses(dns.resolve("localhost", "A")))
    assert.same({ "127.0.0.1" }, addresses(dns.resolve("any.LocalHost.", "A")))
    assert.same({ "::1" }, addresses(dns.resolve("any.localhost", "AAAA")))
    assert.same({ "192.0.2.9" }, addresses(dns.resolve("192.0.2.9", "A")))
    assert.same({ "2001:db8::9" }, addresses(dns.resolve("2001:db8::9", "AAAA")))
    assert.equal("host not found", select(2, dns.resolve("hidden.onion", "A")))
    assert.equal("host not found", select(2, dns.resolve("any.invalid", "A")))
    assert.equal(0, server.questions)
  end)

  it("that cannot be one is told", function()
    local server <close> = nameserver.start {}
    ask_only(server)
    for _, name in ipairs { "", ".", "a..b", ".a", ("x"):rep(64), ("a."):rep(140) .. "b" } do
      local records, message = dns.resolve(name, "A")
      assert.is_nil(records)
      assert.is_true(message == "malformed name" or name == ".", name .. ": " .. message)
    end
  end)

  it("with an argument that makes no sense is misuse", function()
    local CASES = {
      ["#1 to 'resolve' %(string expected, got no value"] = {},
      ["#2 to 'resolve' %(A, AAAA, .* got 'AXFR'"] = { "a.test", "AXFR" },
      ["#2 to 'resolve' %(A, AAAA, .* got nil"] = { "a.test" },
      ["#3 to 'resolve' %(option 'servers': an address, .* got 'example.org'"] =
        { "a.test", "A", { servers = "example.org" } },
      ["option 'servers': .* got '192.0.2.1:99999'"] =
        { "a.test", "A", { servers = { "192.0.2.1:99999" } } },
      ["option 'servers': it is empty"] = { "a.test", "A", { servers = {} } },
      ["no such option 'server'"] = { "a.test", "A", { server = "192.0.2.1" } },
      ["option 'tcp': boolean expected"] = { "a.test", "A", { tcp = 1 } },
    }
    for text, arguments in pairs(CASES) do
      assert.error_matches(function() dns.resolve(table.unpack(arguments, 1, 3)) end, text)
    end
    assert.error_matches(function() dns.configure { attempts = 0 } end, "'attempts': at least 1")
    assert.error_matches(function() dns.configure { search = { 5 } } end, "'search': string")
  end)
end)

describe("many at once", function()
  it("wait for their own answers only", function()
    local server <close> = nameserver.start(setmetatable({}, { __index = function(_, key)
      local n = key:match "^n(%d+)%.test A$"
      return n and { { address = ("10.0.%d.%d"):format(n // 256, n % 256) } }
    end }))
    ask_only(server, { timeout = 2, attempts = 3 })
    local count = 3000 // (tonumber(os.getenv "SCALE") or 1)
    local results = peers.together(count, function(i)
      return addresses(dns.resolve(("n%d.test"):format(i), "A"))[1]
    end)
    for i = 1, count do assert.equal(("10.0.%d.%d"):format(i // 256, i % 256), results[i]) end
  end)

  it("of the same ask once", function()
    local gate = task.event()
    local server <close> = nameserver.start { ["a.test A"] = function(reply, q)
      gate:wait()
      nameserver.add(reply.answers, A, q)
      return true
    end }
    ask_only(server, { timeout = 5 })
    local tasks = {}
    for i = 1, 50 do tasks[i] = task.spawn(dns.resolve, "a.test", i % 2 == 0 and "A" or "a") end
    while server.questions == 0 do task.yield() end
    gate:set()
    for i = 1, 50 do assert.same({ "192.0.2.1" }, addresses(tasks[i]:join())) end
    assert.equal(1, server.questions)
  end)

  it("go on if the one that asks for all is cancelled, or has less time", function()
    local server <close> = nameserver.start { ["a.test A"] = function(reply, q, context)
      if context.server.questions < 3 then return nil end
      nameserver.add(reply.answers, A, q)
      return true
    end }
    ask_only(server, { timeout = 60, attempts = 1 })
    local first = task.spawn(dns.resolve, "a.test", "A")
    local hasty = task.spawn(dns.resolve, "a.test", "A", { timeout = 0.05 })
    local others = {}
    for i = 1, 5 do others[i] = task.spawn(dns.resolve, "a.test", "A") end
    while server.questions < 1 do task.yield() end
    assert.is_true(first:cancel())
    assert.same({ nil, "cancelled" }, { first:join() })
    assert.same({ nil, "timeout" }, { hasty:join() })
    for i = 1, 5 do assert.same({ "192.0.2.1" }, addresses(others[i]:join())) end
    assert.equal(3, server.questions)
  end)

  it("have the failure of one that was in a hurry for themselves only if they are, too", function()
    local server <close> = nameserver.start { ["a.test A"] = function(reply, q, context)
      if context.server.questions < 2 then return nil end
      nameserver.add(reply.answers, A, q)
      return true
    end }
    local dead = ("127.0.0.1:%d"):format(peers.free_port())
    ask_only(server, { servers = { dead, server.text }, timeout = 60, attempts = 1 })
    local hasty = task.spawn(dns.resolve, "a.test", "A", { timeout = 0.6 }) -- half for each server
    local patient = task.spawn(dns.resolve, "a.test", "A")
    local as_hasty = task.spawn(dns.resolve, "a.test", "A", { timeout = 0.6 })
    assert.same({ nil, "timeout" }, { hasty:join() })
    assert.same({ "192.0.2.1" }, addresses(patient:join()))
    as_hasty:join()
    assert.equal(2, server.questions)
  end)

  it("are cancelled at once", function()
    local server <close> = nameserver.start { ["a.test A"] = function() return nil end }
    ask_only(server, { timeout = 1000 })
    local tasks = {}
    for i = 1, 300 do tasks[i] = task.spawn(dns.resolve, "a.test", "A", { tcp = i % 2 == 0 }) end
    while server.questions < 1 do task.yield() end
    for i = 1, 300 do tasks[i]:cancel() end
    for i = 1, 300 do assert.same({ nil, "cancelled" }, { tasks[i]:join() }) end
    assert.same({ nil, "deadline" }, { task.timeout(0.01, dns.resolve, "a.test", "A") })
  end)
end)
