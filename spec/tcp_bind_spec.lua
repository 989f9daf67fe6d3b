-- SPDX-License-Identifier: MIT
--
-- Naming a listening socket: which addresses and ports bind takes, and what it says of the others.

local socket = require "socket"
local lariat = require "lariat"

local LARIAT = os.getenv "LARIAT" or "./lariat"

describe("binding a TCP socket", function()
  it("to port 0 gets a port of its own", function()
    local one <close> = assert(socket.bind("127.0.0.1", 0))
    local two <close> = assert(socket.bind("127.0.0.1", 0))
    local host, first, family = one:getsockname()
    local _, second = two:getsockname()
    assert.equal("127.0.0.1", host)
    assert.equal("integer", math.type(first))
    assert.is_true(first > 0 and second > 0)
    assert.not_equal(first, second)
    assert.equal("inet", family)
  end)

  it("step by step goes from master to server", function()
    local server <close> = assert(socket.tcp())
    assert.equal("tcp{master}", server.class)
    assert.equal(1, server:bind("127.0.0.1", 0))
    assert.equal("tcp{master}", server.class)
    assert.equal(1, server:listen(5))
    assert.equal("tcp{server}", server.class)
    local _, port = server:getsockname()
    local client <close> = assert(socket.connect("127.0.0.1", port))
    local accepted <close> = assert(server:accept())
    assert.same({ client:getsockname() }, { accepted:getpeername() })
  end)

  it("to * listens on every IPv4 address", function()
    local server <close> = assert(socket.bind("*", 0))
    local host, port = server:getsockname()
    assert.equal("0.0.0.0", host)
    for _, address in ipairs { "127.0.0.1", "127.0.0.2" } do
      local client <close> = assert(socket.connect(address, port))
      assert.equal(address, (client:getpeername()))
    end
  end)

  it("to a name binds what the name stands for", function()
    local server <close> = assert(socket.bind("localhost", 0))
    local host = server:getsockname()
    assert.is_true(host == "127.0.0.1" or host == "::1")
    local other <close> = socket.tcp4()
    assert.equal(1, other:bind("localhost", 0))
    assert.equal("127.0.0.1", (other:getsockname()))
  end)

  it("takes a port that is a string of digits", function()
    local free = assert(socket.bind("127.0.0.1", 0))
    local _, port = free:getsockname()
    free:close()
    local server <close> = assert(socket.bind("127.0.0.1", tostring(port)))
    assert.equal(port, (select(2, server:getsockname())))
  end)

  it("to an address in use fails and leaves the first server working", function()
    local first <close> = assert(socket.bind("127.0.0.1", 0))
    local _, port = first:getsockname()
    assert.same({ nil, "address already in use" }, { socket.bind("127.0.0.1", port) })
    local second <close> = socket.tcp()
    assert.same({ nil, "address already in use" }, { second:bind("127.0.0.1", port) })
    local client <close> = assert(socket.connect("127.0.0.1", port))
    local accepted <close> = assert(first:accept())
    client:send "still here\n"
    assert.equal("still here", accepted:receive())
  end)

  it("again to the port of a server that closed first works at once", function()
    local server = assert(socket.bind("127.0.0.1", 0))
    local _, port = server:getsockname()
    local client <close> = assert(socket.connect("127.0.0.1", port))
    local accepted = assert(server:accept())
    accepted:close() -- the side that closes first keeps the port in TIME_WAIT
    assert.same({ nil, "closed", "" }, { client:receive() })
    client:close()
    server:close()
    local again <close> = assert(socket.bind("127.0.0.1", port))
    assert.equal(port, (select(2, again:getsockname())))
  end)

  it("twice is refused and the first name stays", function()
    local server <close> = socket.tcp()
    assert.equal(1, server:bind("127.0.0.1", 0))
    local host, port = server:getsockname()
    assert.same({ nil, "Invalid argument" }, { server:bind("127.0.0.1", 0) })
    assert.same({ host, port, "inet" }, { server:getsockname() })
  end)

  it("to a port out of range says which port", function()
    for _, port in ipairs { 70000, 65536, -1 } do
      local server <close> = socket.tcp()
      for _, f in ipairs { function() return server:bind("127.0.0.1", port) end,
          function() return socket.bind("127.0.0.1", port) end } do
        local ok, message = f()
        assert.is_nil(ok)
        assert.matches(tostring(port):gsub("%-", "%%-") .. " is out of range", message)
      end
    end
  end)

  it("to a host with a zero byte in it, which would be cut there, fails", function()
    local server <close> = socket.tcp()
    local message = "host contains a zero byte"
    assert.same({ nil, message }, { server:bind("127.0.0.1\0.invalid", 0) })
    assert.same({ nil, message }, { socket.bind("127.0.0.1\0.invalid", 0) })
  end)

  it("to a port that is a word fails", function()
    local server <close> = socket.tcp()
    local ok, message = server:bind("127.0.0.1", "x")
    assert.is_nil(ok)
    assert.matches("service", message)
  end)

  it("with arguments of the wrong type names the argument", function()
    local server <close> = socket.tcp()
    assert.error_matches(function() server:bind() end, "bad argument #1 to 'bind'")
    assert.error_matches(function() server:bind({}, 1) end, "bad argument #1 to 'bind'")
    assert.error_matches(function() server:bind("127.0.0.1") end, "bad argument #2 to 'bind'")
    assert.error_matches(function() server:bind("127.0.0.1", {}) end, "bad argument #2 to 'bind'")
  end)

  it("to a host nobody knows says so", function()
    local message = "host or service not provided, or not known"
    local server <close> = socket.tcp()
    local ok, why = server:bind("no-such-host.invalid", 0)
    assert.is_nil(ok)
    -- without a network the resolver may be out of reach
    assert.is_true(why == message or why == "temporary failure in name resolution", why)
    assert.same({ nil, why }, { socket.bind("no-such-host.invalid", 0) })
  end)

  it("to an address of another machine fails", function()
    local server <close> = socket.tcp()
    assert.same({ nil, "Cannot assign requested address" }, { server:bind("192.0.2.77", 0) })
  end)

  it("to a privileged port as an ordinary user is not permitted", function()
    local script = [[
      local socket = require "socket"
      print(socket.bind("127.0.0.1", 7))
    ]]
    local id <close> = assert(lariat.run { "id", "-u" })
    local command = { LARIAT, "-e", script }
    if id.stdout:receive() == "0" then
      command = { "setpriv", "--reuid=65534", "--clear-groups", "--bounding-set=-all",
        table.unpack(command) }
    end
    local child <close> = assert(lariat.run(command))
    assert.equal("nil\tpermission denied\n", (child.stdout:receive "*a"))
    assert.same({ "exit", 0 }, { child:wait() })
  end)
end)

describe("IPv6", function()
  it("listens on ::1", function()
    local server <close> = assert(socket.bind("::1", 0))
    local host, port, family = server:getsockname()
    assert.same({ "::1", "inet6" }, { host, family })
    local client <close> = assert(socket.connect6("::1", port))
    local accepted <close> = assert(server:accept())
    assert.same({ "inet6", "inet6" }, { client:getfamily(), accepted:getfamily() })
    client:send "six\n"
    assert.equal("six", accepted:receive())
  end)

  it("does not take IPv4 connections unless asked to", function()
    local server <close> = assert(socket.tcp6())
    assert.is_true(server:getoption "ipv6-v6only")
    assert.equal(1, server:bind("*", 0))
    assert.equal(1, server:listen())
    assert.equal("::", (server:getsockname()))
    local _, port = server:getsockname()
    assert.same({ nil, "connection refused" }, { socket.connect("127.0.0.1", port) })
  end)

  it("takes both families with v6only off", function()
    local server <close> = assert(socket.tcp6())
    assert.equal(1, server:setoption("ipv6-v6only", false))
    assert.equal(1, server:bind("*", 0))
    assert.equal(1, server:listen())
    local _, port = server:getsockname()
    local old <close> = assert(socket.connect("127.0.0.1", port))
    local first <close> = assert(server:accept())
    assert.equal("::ffff:127.0.0.1", (first:getpeername()))
    local new <close> = assert(socket.connect("::1", port))
    local second <close> = assert(server:accept())
    assert.equal("::1", (second:getpeername()))
    assert.same({ "inet4", "inet6" }, { old:getfamily(), new:getfamily() })
  end)

  it("and IPv4 share a port number", function()
    local four <close> = assert(socket.bind("127.0.0.1", 0))
    local _, port = four:getsockname()
    local six <close> = assert(socket.bind("::1", port))
    assert.same({ "::1", port, "inet6" }, { six:getsockname() })
  end)

  it("refuses an IPv4 address on an IPv6 socket", function()
    local server <close> = assert(socket.tcp6())
    local ok, message = server:bind("127.0.0.1", 0)
    assert.is_nil(ok)
    assert.is_string(message)
  end)
end)

describe("listening", function()
  it("without a name gets one", function()
    local server <close> = assert(socket.tcp4())
    assert.equal(1, server:listen())
    local host, port = server:getsockname()
    assert.equal("0.0.0.0", host)
    local client <close> = assert(socket.connect("127.0.0.1", port))
    assert.equal("tcp{client}", client.class)
  end)

  it("twice is a mistake", function()
    local server <close> = assert(socket.bind("127.0.0.1", 0))
    assert.error_matches(function() server:listen() end, "tcp{master} expected")
  end)

  it("with a backlog that makes no sense names the argument", function()
    local server <close> = socket.tcp4()
    assert.error_matches(function() server:listen {} end, "bad argument #1 to 'listen'")
    assert.error_matches(function() server:listen "many" end, "bad argument #1 to 'listen'")
  end)

  it("on a closed socket says closed", function()
    local server = socket.tcp4()
    server:close()
    assert.same({ nil, "closed" }, { server:listen() })
    assert.same({ nil, "closed" }, { server:bind("127.0.0.1", 0) })
  end)
end)
