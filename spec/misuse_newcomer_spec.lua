-- SPDX-License-Identifier: MIT
--
-- The mistakes of a first day: a colon for a dot, a URL for a host, a method before connect(). Each
-- error names what was given, and says what to write instead.

local lariat = require "lariat"
local of = require "spec.support.misuse".of
local sim = require "lariat.sim"
local socket = require "socket"
local task = require "lariat.task"
local test = require "lariat.test"
local unix = require "socket.unix"

local NAN = 0 / 0
local function nothing() end
local pair = test.pair -- closed at the end of the test

-- For each: what is called, and what the message says.
local function check(cases)
  for i = 1, #cases, 2 do of(cases[i], cases[i + 1]) end
end

describe("a wrong type is told as a wrong type", function()
  local channel, semaphore, event = task.channel(1), task.semaphore(1), task.event()

  it("where seconds must not be negative", function()
    check {
      function() channel:send(1, "inet") end, "#2 to 'send' (seconds expected, got string)",
      function() channel:send(1, -1) end, "#2 to 'send' (seconds expected, not negative: got -1)",
      function() channel:send(1, NAN) end, "#2 to 'send' (seconds expected, got nan)",
      function() channel:receive {} end, "#1 to 'receive' (seconds expected, got table)",
      function() channel:receive(-0.5) end, "(seconds expected, not negative: got -0.5)",
      function() event:wait(true) end, "#1 to 'wait' (seconds expected, got boolean)",
      function() event:wait(-1) end, "#1 to 'wait' (seconds expected, not negative: got -1)",
      function() semaphore:acquire "1" end, "#1 to 'acquire' (seconds expected, got string)",
      function() task.wait({ event }, "1") end, "#2 to 'wait' (seconds expected, got string)",
      function() task.wait({ event }, -1) end, "(seconds expected, not negative: got -1)",
      function() task.timeout("1", nothing) end, "#1 to 'timeout' (seconds expected, got string)",
      function() task.timeout(nothing, 1) end, "(seconds expected, got function)",
      function() task.timeout(-1, nothing) end, "(seconds expected, not negative: got -1)",
      function() task.deadline(NAN, nothing) end, "#1 to 'deadline' (seconds expected, got nan)",
      function() task.shield(nil, nothing) end, "#1 to 'shield' (seconds expected, got nil)",
    }
  end)

  it("where a count is expected", function()
    local server <close> = assert(socket.bind("127.0.0.1", 0))
    local udp <close> = socket.udp4()
    check {
      function() task.channel "x" end, "#1 to 'channel' (capacity expected, got string)",
      function() task.channel(-1) end, "(capacity expected, not negative: got -1)",
      function() task.channel(NAN) end, "#1 to 'channel' (capacity expected, got nan)",
      function() task.semaphore {} end, "#1 to 'semaphore' (number of permits expected, got table)",
      function() task.semaphore(0) end,
      "(number of permits expected: a positive integer, got 0)",
      function() task.semaphore(1.5) end,
      "(number of permits expected: a positive integer, got 1.5)",
      function() server:serve(nothing, { limit = "9" }) end, "number expected, got string",
      function() server:serve(nothing, { limit = 0 }) end,
      "option 'limit': positive number of connections expected, got 0",
      function() udp:receive(NAN) end, "#1 to 'receive' (number of bytes expected, got nan)",
      function() udp:receive(-1) end, "#1 to 'receive' (number of bytes must not be negative)",
    }
  end)

  it("where a signal is waited for", function()
    local watch <close> = lariat.signal "USR2"
    check {
      function() watch:wait(NAN) end, "#1 to 'wait' (seconds expected, got nan)",
      function() watch:wait "x" end, "#1 to 'wait' (number expected, got string)",
    }
  end)

  it("where a simulation has options", function()
    check {
      function() sim.run({ seed = "x" }, nothing) end,
      "option 'seed': integer expected, got string",
      function() sim.run({ max_time = "1" }, nothing) end, "not negative, got string",
      function() sim.run({ loss = 2 }, nothing) end, "probability from 0 to 1 expected, got 2",
    }
  end)
end)

describe("a number in place of a local address", function()
  it("is told how a timeout is given", function()
    check {
      function() socket.connect("127.0.0.1", 1, 5) end,
      "#3 to 'connect' (local address or table of options expected, got 5; "
        .. "a timeout is { timeout = 5 })",
    }
  end)
end)

describe("what cannot be a pattern", function()
  it("is told, and what can be", function()
    local near = pair()
    local why = "#1 to 'receive' (invalid receive pattern: '*l', '*L', '*a' or a number of bytes "
      .. "expected, got '%s')"
    check {
      function() near:receive "*x" end, why:format "*x",
      function() near:receive "" end, why:format "",
      function() near:receive(-1) end, why:format "-1",
      function() near:lines "n" end, "#1 to 'lines' (invalid receive pattern: '*l', '*L'",
    }
  end)
end)

describe("what cannot be a host", function()
  local UNKNOWN = "host or service not provided, or not known: "

  local WRONG = {
    ["http://example.org"] = "'http://example.org' is a URL; a host is a name or an address",
    ["ftp://a b/"] = "'ftp://a b/' is a URL; a host is a name or an address",
    ["example.org/index"] = "'example.org/index' contains a slash; a host is a name or an address",
    ["127.0.0.0/8"] = "'127.0.0.0/8' contains a slash; a host is a name or an address",
    ["two words"] = "'two words' contains a space; a host is a name or an address",
    ["localhost:80"] = "'localhost:80' contains a port, which is an argument of its own",
    ["127.0.0.1:80"] = "'127.0.0.1:80' contains a port, which is an argument of its own",
    ["[::1]:80"] = "'[::1]:80' contains brackets; an address is written without them",
    ["[::1]"] = "'[::1]' contains brackets; an address is written without them",
    ["unix:/tmp/x"] = "'unix:/tmp/x' is a path, for socket.connect, bind and serve only",
    [""] = "it is empty; a host is a name or an address",
    ["local\nhost"] = "it contains a control character; a host is a name or an address",
  }

  local function each(call)
    for host, reason in pairs(WRONG) do
      local result, message = call(host)
      assert.is_nil(result, host)
      assert.equal(UNKNOWN .. reason, message)
    end
  end

  local function is_path(host) return host:find "^unix:" end

  it("is told by connect", function()
    each(function(host)
      local master <close> = socket.tcp()
      return master:connect(host, 80)
    end)
    each(function(host)
      if is_path(host) then return nil, UNKNOWN .. WRONG[host] end
      return socket.connect(host, 80)
    end)
  end)

  it("is told by bind", function()
    each(function(host)
      local master <close> = socket.tcp()
      return master:bind(host, 0)
    end)
    each(function(host)
      if is_path(host) then return nil, UNKNOWN .. WRONG[host] end
      return socket.bind(host, 0)
    end)
  end)

  it("is told by udp", function()
    local udp <close> = socket.udp()
    each(function(host) return udp:setpeername(host, 80) end)
    each(function(host) return udp:setsockname(host, 0) end)
    each(function(host) return udp:sendto("x", host, 80) end)
    for host, reason in pairs(WRONG) do
      local sent, message, count = udp:sendmany { { "x", host, 80 } }
      assert.same({ nil, UNKNOWN .. reason, 0 }, { sent, message, count })
    end
  end)

  it("is told by dns", function()
    each(function(host) return socket.dns.toip(host) end)
    each(function(host) return socket.dns.tohostname(host) end)
    each(function(host) return socket.dns.getaddrinfo(host) end)
    each(function(host) return socket.dns.getnameinfo(host) end)
  end)

  it("is told in a simulation", function()
    sim.run({}, function()
      each(function(host) return socket.dns.toip(host) end)
    end)
  end)

  it("is the matter when the port is missing", function()
    check {
      function() socket.connect "http://x" end,
      "bad argument #1 to 'connect' ('http://x' is a URL; a host is a name or an address)",
      function() socket.connect("localhost:80", { timeout = 1 }) end,
      "#1 to 'connect' ('localhost:80' contains a port, which is an argument of its own)",
      function() socket.bind "*:80" end, "#1 to 'bind' ('*:80' contains a port",
      function() socket.serve("localhost:80", nothing) end,
      "#1 to 'serve' ('localhost:80' contains a port",
      function() socket.connect "localhost" end,
      "#2 to 'connect' (string expected, got no value)",
    }
    local tcp <close> = socket.tcp()
    local udp <close> = socket.udp()
    check {
      function() tcp:connect "localhost:80" end,
      "#1 to 'connect' ('localhost:80' contains a port, which is an argument of its own)",
      function() tcp:bind "*:80" end, "#1 to 'bind' ('*:80' contains a port",
      function() udp:setpeername "http://x" end, "#1 to 'setpeername' ('http://x' is a URL",
      function() udp:sendto("x", "127.0.0.1:80") end, "#2 to 'sendto' ('127.0.0.1:80' contains",
      function() udp:sendto("x", "127.0.0.1") end, "#3 to 'sendto' (string expected, got no value)",
    }
  end)

  it("is no address with a zone", function()
    local udp <close> = socket.udp6()
    local ok, message = udp:setpeername("fe80::1%lo", 80)
    assert.is_true(ok == 1 or not message:find("contains", 1, true))
  end)
end)

-- In place of `module`: the rest of the message.
local function with_a_colon(module, cases)
  for i = 1, #cases, 2 do
    of(cases[i], ("%s, got module '%s', whose functions are called with a dot"):format(
      cases[i + 1], module))
  end
end

describe("a function of a module called with a colon", function()
  it("says so of lariat.task", function()
    with_a_colon("lariat.task", {
      function() task:spawn(nothing) end, "'spawn' on bad self (function expected",
      function() task:spawn({ name = "x" }, nothing) end, "on bad self (function expected",
      function() task:sleep(1) end, "calling 'sleep' on bad self (number expected",
      function() task:timeout(1, nothing) end, "#1 to 'timeout' (seconds expected",
      function() task:deadline(1, nothing) end, "#1 to 'deadline' (seconds expected",
      function() task:shield(1, nothing) end, "#1 to 'shield' (seconds expected",
      function() task:group(nothing) end, "#1 to 'group' (function expected",
      function() task:race(nothing) end, "#1 to 'race' (function expected",
      function() task:all(nothing) end, "#1 to 'all' (function expected",
      function() task:channel(1) end, "#1 to 'channel' (capacity expected",
      function() task:semaphore(1) end, "#1 to 'semaphore' (number of permits expected",
      function() task:wait({ task.event() }, 1) end, "#1 to 'wait' (table expected",
      function() task:dump(io.stderr) end, "(open file or function expected",
    })
  end)

  it("says so of socket", function()
    local near, far = pair()
    with_a_colon("socket", {
      function() socket:connect("localhost", 1) end, "#1 to 'connect' (string expected",
      function() socket:connect4("localhost", 1) end, "#1 to 'connect' (string expected",
      function() socket:bind("*", 0) end, "#1 to 'bind' (string expected",
      function() socket:serve("*", 0, nothing) end, "#1 to 'serve' (string expected",
      function() socket:select({ near }, nil, 0) end,
      "calling 'select' on bad self (table expected",
      function() socket:sleep(1) end, "calling 'sleep' on bad self (number expected",
      function() socket:relay(near, far) end, "#1 to 'relay' (stream expected",
      function() socket:try(nil, "closed") end, "#1 to 'try' (value expected",
      function() socket:newtry(nothing) end, "#1 to 'newtry' (function expected",
      function() socket:protect(nothing) end, "#1 to 'protect' (function expected",
      function() socket:choose {} end, "#1 to 'choose' (table expected",
      function() socket:skip(1, 2) end, "calling 'skip' on bad self (number expected",
      function() socket:sink("keep-open", near) end, "method 'send' expected",
      function() socket:source("until-closed", near) end, "method 'receive' expected",
    })
    with_a_colon("socket.dns", {
      function() socket.dns:toip "localhost" end, "calling 'toip' on bad self (string expected",
      function() socket.dns:getaddrinfo "localhost" end, "on bad self (string expected",
    })
  end)

  it("says so of lariat", function()
    with_a_colon("lariat", {
      function() lariat:run { "true" } end, "#1 to 'run' (table expected",
      function() lariat:signal "USR2" end, "calling 'signal' on bad self (string expected",
      function() lariat:onerror(nothing) end, "calling 'onerror' on bad self (function expected",
    })
  end)

  it("says so of lariat.sim and lariat.test", function()
    with_a_colon("lariat.sim", {
      function() sim:run({}, nothing) end, "#1 to 'run' (table of options expected",
      function() sim:try({}, nothing) end, "#1 to 'try' (table of options expected",
      function() sim:check(1, {}, nothing) end, "#1 to 'check' (integer expected",
    })
    with_a_colon("lariat.test", {
      function() test:pair "inet" end, "#1 to 'pair' ('inet', 'inet6' or 'unix' expected",
      function() test:serve(nothing) end, "#1 to 'serve' (function expected",
      function() test:eventually(nothing) end, "#1 to 'eventually' (function expected",
    })
  end)
end)

describe("a method called with a dot", function()
  it("says so of sockets", function()
    local near, far = pair()
    local udp <close> = socket.udp()
    check {
      function() near.send "x" end,
      "#1 to 'send' (tcp{client} expected): got string; methods are called with a colon",
      function() far.receive() end,
      "#1 to 'receive' (tcp{client} expected): got no value; methods are called with a colon",
      function() near.settimeout(5) end,
      "#1 to 'settimeout' (tcp{any} expected): got number; methods are called with a colon",
      function() udp.sendto("x", "127.0.0.1", 7) end, "got string; methods are called with a colon",
      function() near.setoption("keepalive", true) end,
      "#1 to 'setoption' (tcp{any} expected): got string; methods are called with a colon",
      function() near.getoption "keepalive" end,
      "#1 to 'getoption' (tcp{any} expected): got string; methods are called with a colon",
    }
  end)

  it("says so of tasks and signals", function()
    local t = task.spawn(nothing)
    local watch <close> = lariat.signal "USR2"
    check {
      function() t.join() end,
      "#1 to 'join' (task expected): got no value; methods are called with a colon",
      function() t.name "reader" end, "#1 to 'name' (task expected): got string; methods are",
      function() watch.wait(5) end, "#1 to 'wait' (signal expected): got number; methods are",
    }
  end)

  it("says so of what is written in Lua", function()
    local channel = task.channel(1)
    local server <close> = assert(socket.bind("127.0.0.1", 0))
    local child <close> = assert(lariat.run { "true" })
    check {
      function() channel.send(5) end,
      "calling 'send' on bad self (channel expected, got number); methods are called with a colon",
      function() server.serve(nothing) end,
      "on bad self (server expected, got function); methods are called with a colon",
      function() child.wait() end,
      "on bad self (process expected, got nil); methods are called with a colon",
    }
    task.group(function(g)
      check {
        function() g.spawn(nothing) end,
        "on bad self (group expected, got function); methods are called with a colon",
      }
    end)
  end)
end)

describe("a method of another state of a socket", function()
  it("says that a master is not connected", function()
    local tcp <close> = socket.tcp()
    local stream <close> = unix()
    check {
      function() tcp:send "x" end,
      "calling 'send' on bad self (tcp{client} expected): it is not connected",
      function() tcp:receive() end, "(tcp{client} expected): it is not connected",
      function() tcp:shutdown() end, "(tcp{client} expected): it is not connected",
      function() stream:lines() end, "(unixstream{client} expected): it is not connected",
      function() tcp:accept() end, "(tcp{server} expected): it does not listen",
      function() tcp:serve(nothing) end, "(tcp{server} expected): it does not listen",
    }
  end)

  it("says that a server has connections", function()
    local server <close> = assert(socket.bind("127.0.0.1", 0))
    check {
      function() server:send "x" end,
      "(tcp{client} expected): it is a server, whose connections come from accept or serve",
      function() server:bind("*", 0) end, "(tcp{master} expected): it listens already",
      function() server:listen() end, "(tcp{master} expected): it listens already",
    }
  end)

  it("says that a client is one", function()
    local near, far = pair()
    local server_expected = "(tcp{server} expected): it is a client, by connect or accept"
    local master_expected = "(tcp{master} expected): it is a client, by connect or accept"
    check {
      function() near:accept() end, server_expected,
      function() near:serve(nothing) end, server_expected,
      function() near:bind("*", 0) end, master_expected,
      function() far:listen() end, master_expected,
    }
  end)

  it("says whether a datagram socket has a peer", function()
    local udp <close> = socket.udp4()
    local dgram <close> = unix.dgram()
    check {
      function() udp:send "x" end,
      "(udp{connected} expected): it has no peer; setpeername names one, sendto needs none",
      function() dgram:send "x" end, "(unixdgram{connected} expected): it has no peer",
    }
    assert(udp:setpeername("127.0.0.1", 9))
    check {
      function() udp:sendto("x", "127.0.0.1", 9) end,
      "(udp{unconnected} expected): it has a peer, given by setpeername",
      function() udp:receivefrom() end, "(udp{unconnected} expected): it has a peer",
    }
  end)

  it("names an object of another kind", function()
    local near = pair()
    local udp <close> = socket.udp()
    check {
      function() near.send(udp, "x") end, "(tcp{client} expected): got udp{unconnected}",
      function() udp.send(near, "x") end, "(udp{connected} expected): got tcp{client}",
    }
  end)
end)
