-- SPDX-License-Identifier: MIT
--
-- How a connection begins: names, ports, listeners and refusals, over the kernel and simulated.

local lan = require "spec.support.lan"
local socket = require "socket"
local task = require "lariat.task"
local unix = require "socket.unix"

lan.describe("connecting", function(calm, any)
  any("is refused where nobody listens", function(net)
    local port = net:free_port()
    assert.same({ nil, "connection refused" }, { socket.connect(net.far, port) })
  end)

  any("is refused where the listener has gone", function(net)
    local server, port = net:listen()
    server:close()
    assert.same({ nil, "connection refused" }, { socket.connect(net.far, port) })
  end)

  calm("takes what getsockname and getpeername return, the family too", function()
    for host, other in pairs { ["127.0.0.1"] = "connect6", ["::1"] = "connect4" } do
      local same = other == "connect6" and "connect4" or "connect6"
      local server = assert(socket.bind(host, 0))
      local client = assert(socket.connect(server:getsockname()))
      assert.same({ client:getpeername() }, { server:getsockname() })
      assert(socket.connect(client:getpeername()))
      assert(socket[same](server:getsockname()))
      assert.is_nil((socket[other](server:getsockname())))
      assert.equal(1, socket.tcp():connect(server:getsockname()))
    end
  end)

  calm("takes the name of a server that is bound to every address", function()
    for _, host in ipairs { "*", "::" } do
      local server = assert(socket.bind(host, 0))
      assert(socket.connect(server:getsockname()))
    end
  end)

  calm("takes the name of a unix server, which is a path", function()
    for _, path in ipairs { "/tmp/lariat-spec-" .. math.random(1 << 40), "\0lariat-" ..
      math.random(1 << 40) } do
      local server = assert(unix())
      assert(server:bind(path))
      assert(server:listen())
      local client = assert(socket.connect(server:getsockname()))
      assert.equal("unixstream{client}", client.class)
      assert(socket.connect(client:getpeername()))
      os.remove(path)
    end
  end)

  any("is possible by name", function(net)
    local server, port = net:listen()
    local client = assert(socket.connect(net.far_name, port))
    local conn = assert(server:accept())
    assert.equal(6, conn:send "hello\n")
    assert.equal("hello", client:receive())
  end)

  calm("to a name that nobody has fails", function()
    local client, message = socket.connect("no-such-host.invalid", 80)
    assert.is_nil(client)
    assert.matches("not", message)
  end)

  any("succeeds before accept, and what is sent then is there after it", function(net)
    local server, port = net:listen()
    local client = assert(socket.connect(net.far, port))
    assert.equal(6, client:send "early\n")
    client:shutdown "send"
    local conn = assert(server:accept())
    assert.equal("early", conn:receive())
    assert.same({ nil, "closed", "" }, { conn:receive() })
  end)

  any("without waiting is asked for again, once the socket is writable", function(net)
    local server, port = net:listen()
    local client = assert(socket.tcp4())
    client:settimeout(0)
    assert.same({ nil, "timeout" }, { client:connect(net.far, port) })
    assert.equal(client, (select(2, socket.select(nil, { client }, 600)))[1])
    local ok, message = client:connect(net.far, port)
    assert.is_true(ok == 1 or message == "already connected")
    client:settimeout(nil)
    local conn = assert(server:accept())
    conn:send "there\n"
    assert.equal("there", client:receive())
  end)

  any("without waiting tells a refusal when it is asked for again", function(net)
    local port = net:free_port()
    local client = assert(socket.tcp4())
    client:settimeout(0)
    local _, first = client:connect(net.far, port)
    assert.is_true(first == "timeout" or first == "connection refused")
    if first == "timeout" then
      assert.equal(client, (select(2, socket.select(nil, { client }, 600)))[1])
      assert.same({ nil, "connection refused" }, { client:connect(net.far, port) })
    end
  end)

  any("again is refused by a socket that is connected", function(net)
    local server, port = net:listen()
    local client = assert(socket.connect(net.far, port))
    assert.same({ nil, "already connected" }, { client:connect(net.far, port) })
    server:close()
  end)

  any("can start from a port of one's own", function(net)
    local server, port = net:listen()
    local own = net:own_port()
    local client = assert(socket.connect(net.far, port, net.near, own))
    local conn = assert(server:accept())
    assert.same({ net.near, own, "inet" }, { conn:getpeername() })
    assert.same({ net.near, own, "inet" }, { client:getsockname() })
  end)
end)

lan.describe("a connection", function(calm)
  calm("is told from others by its two addresses, so there is one of each", function(net)
    local server, port = net:listen()
    local own = net:own_port()
    local function sharing()
      local tcp = assert(socket.tcp4())
      assert(tcp:setoption("reuseaddr", true))
      assert(tcp:bind(net.near, own))
      return tcp
    end
    local first, second = sharing(), sharing()
    assert.equal(1, first:connect(net.far, port))
    assert.same({ nil, "Cannot assign requested address" }, { second:connect(net.far, port) })
    local other, other_port = net:listen()
    local third = sharing()
    assert.equal(1, third:connect(net.far, other_port))
    server:close()
    other:close()
  end)

  calm("is with one host, not with many", function(net)
    for _, address in ipairs { "224.0.0.1", net.simulated and "10.0.255.255" or "224.0.0.2" } do
      local tcp = assert(socket.tcp4())
      assert.same({ nil, "Network is unreachable" }, { tcp:connect(address, 7) })
    end
  end)
end)

lan.describe("names of sockets", function(calm)
  calm("are known as far as they are decided", function()
    local master = assert(socket.tcp4())
    assert.same({ "0.0.0.0", 0, "inet" }, { master:getsockname() })
    assert.same({ nil, "Transport endpoint is not connected" }, { master:getpeername() })
    assert.equal("inet4", master:getfamily())
    assert(master:bind("*", 0))
    local address, port, family = master:getsockname()
    assert.same({ "0.0.0.0", "inet" }, { address, family })
    assert.is_true(port > 1023)
    assert(master:listen())
    assert.same({ nil, "Transport endpoint is not connected" }, { master:getpeername() })
    master:close()
    assert.is_nil((master:getsockname()))
  end)

  calm("of two ends mirror each other", function(net)
    local client, conn = net:pair()
    assert.same({ client:getsockname() }, { conn:getpeername() })
    assert.same({ client:getpeername() }, { conn:getsockname() })
    assert.equal(net.near, (client:getsockname()))
    assert.equal(net.far, (client:getpeername()))
  end)

  calm("over IPv6 are IPv6 addresses", function(net)
    local server, port = net:listen(net.far6)
    local client = assert(socket.connect(net.far6, port))
    local conn = assert(server:accept())
    assert.same({ net.far6, port, "inet6" }, { client:getpeername() })
    assert.same({ client:getsockname() }, { conn:getpeername() })
    assert.equal("inet6", client:getfamily())
    conn:send "six\n"
    assert.equal("six", client:receive())
  end)

  calm("of IPv4 peers are mapped by a listener of both families", function(net)
    local server = net.on_far(function()
      local tcp = assert(socket.tcp6())
      assert(tcp:setoption("ipv6-v6only", false))
      assert(tcp:bind("::", 0))
      assert(tcp:listen())
      return tcp
    end)
    local _, port = server:getsockname()
    local four, six = assert(socket.connect(net.far, port)), assert(socket.connect(net.far6, port))
    local first, second = assert(server:accept()), assert(server:accept())
    assert.equal("::ffff:" .. net.near, (first:getpeername()))
    assert.equal(net.near6, (second:getpeername()))
    first:send "mapped\n"
    second:send "plain\n"
    assert.equal("mapped", four:receive())
    assert.equal("plain", six:receive())
  end)

  calm("of both families can have one port", function(net)
    local four, port = net:listen()
    local six = net.on_far(socket.bind, net.far6, port)
    assert.is_truthy(six)
    local client = assert(socket.connect(net.far6, port))
    assert.is_truthy(six:accept())
    client:close()
    four:close()
  end)

  calm("that only speak IPv6 refuse IPv4", function(net)
    local server = net.on_far(function()
      local tcp = assert(socket.tcp6())
      assert(tcp:setoption("ipv6-v6only", true))
      assert(tcp:bind("::", 0))
      assert(tcp:listen())
      return tcp
    end)
    local _, port = server:getsockname()
    assert.same({ nil, "connection refused" }, { socket.connect(net.far, port) })
  end)
end)

lan.describe("an address", function(calm)
  local function master(reuse)
    local tcp = assert(socket.tcp4())
    if reuse then assert(tcp:setoption("reuseaddr", true)) end
    return tcp
  end

  calm("is in use by the socket bound to it", function(net)
    local first, second, third = master(), master(), master()
    assert(first:bind(net.near, 0))
    local _, port = first:getsockname()
    assert.same({ nil, "address already in use" }, { second:bind(net.near, port) })
    assert.same({ nil, "address already in use" }, { third:bind("*", port) })
    first:close()
    assert.equal(1, second:bind(net.near, port))
  end)

  calm("can be shared by those who all ask to, until one listens", function(net)
    local first, second, third, plain = master(true), master(true), master(true), master()
    assert(first:bind(net.near, 0))
    local _, port = first:getsockname()
    assert.equal(1, second:bind(net.near, port))
    assert.same({ nil, "address already in use" }, { plain:bind(net.near, port) })
    assert.equal(1, first:listen())
    assert.same({ nil, "address already in use" }, { second:listen() })
    assert.same({ nil, "address already in use" }, { third:bind(net.near, port) })
  end)

  calm("is in use by a connection that was closed first here, unless one asks to share it",
    function(net)
      local server, port = net:listen()
      local client = assert(socket.connect(net.far, port))
      local conn = assert(server:accept())
      server:close()
      conn:close()
      assert.same({ nil, "closed", "" }, { client:receive() })
      client:close()
      net.on_far(task.sleep, net.pause)
      local plain = net.on_far(master)
      assert.same({ nil, "address already in use" }, { plain:bind(net.far, port) })
      local sharing = net.on_far(master, true)
      assert.equal(1, sharing:bind(net.far, port))
      assert.equal(1, sharing:listen())
    end)

  calm("with port 0 is another each time", function(net)
    local seen, all = {}, {}
    for i = 1, 50 do
      all[i] = master()
      assert(all[i]:bind(net.near, 0))
      local _, port = all[i]:getsockname()
      assert.is_nil(seen[port])
      assert.is_true(port >= 32768 and port <= 60999)
      seen[port] = true
    end
  end)

  calm("that is another machine's cannot be bound to", function()
    local tcp = master()
    assert.same({ nil, "Cannot assign requested address" }, { tcp:bind("192.0.2.1", 0) })
  end)

  calm("can be bound once", function(net)
    local tcp = master()
    assert(tcp:bind(net.near, 0))
    assert.same({ nil, "Invalid argument" }, { tcp:bind(net.near, 0) })
  end)
end)

lan.describe("a listener", function(calm, any)
  calm("serves the tasks that accept in their order", function(net)
    local server, port = net:listen()
    local order = {}
    local function accept(name)
      local conn = assert(server:accept())
      order[#order + 1] = name
      return conn
    end
    local first, second = task.spawn(accept, "first"), task.spawn(accept, "second")
    task.yield()
    local a = assert(socket.connect(net.far, port))
    first:join()
    local b = assert(socket.connect(net.far, port))
    second:join()
    assert.same({ "first", "second" }, order)
    assert.is_true(a ~= b)
  end)

  calm("gives connections in the order in which they were made", function(net)
    local server, port = net:listen()
    local clients = {}
    for i = 1, 10 do clients[i] = assert(socket.connect(net.far, port)) end
    for i = 1, 10 do
      assert.same({ clients[i]:getsockname() }, { assert(server:accept()):getpeername() })
    end
  end)

  any("that is closed resets those it has not accepted", function(net)
    local server, port = net:listen()
    local client = assert(socket.connect(net.far, port))
    client:send "anybody?"
    client:flush()
    net:arrives(server)
    server:close()
    assert.same({ nil, "closed", "" }, { client:receive() })
    assert.equal("closed", net:send_until_closed(client))
  end)

  any("keeps what it has accepted when it is closed", function(net)
    local client, conn = net:pair() -- whose listener is closed
    conn:send "still here\n"
    assert.equal("still here", client:receive())
  end)

  any("takes many at once", function(net)
    local server, port = net:listen(nil, 100)
    local clients = {}
    for i = 1, 50 do
      clients[i] = task.spawn(function()
        local client <close> = assert(socket.connect(net.far, port))
        client:send(i .. "\n")
        return tonumber(client:receive())
      end)
    end
    local serving = task.spawn(server.serve, server, function(conn)
      conn:send(conn:receive() .. "\n")
    end)
    for i = 1, 50 do assert.equal(i, clients[i]:join()) end
    server:close()
    serving:join()
  end)

  calm("with a full backlog lets nobody in until it accepts", function(net)
    local server, port = net:listen(nil, 1)
    local first = assert(socket.connect(net.far, port))
    local second = assert(socket.connect(net.far, port))
    local late = assert(socket.tcp4())
    late:settimeout(0.01)
    assert.same({ nil, "timeout" }, { late:connect(net.far, port) })
    assert.is_truthy(server:accept())
    assert.is_truthy(server:accept())
    late:settimeout(60)
    local ok, message = late:connect(net.far, port)
    assert.is_true(ok == 1 or message == "already connected")
    first:close()
    second:close()
  end)
end)
