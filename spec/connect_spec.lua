-- SPDX-License-Identifier: MIT
--
-- Connecting: to nobody, to somebody too busy, and how the wait for it ends. Names with several
-- addresses are in connect_race_spec.lua.

local net = require "spec.support.net"
local socket = require "socket"
local task = require "lariat.task"

local LARIAT = os.getenv "LARIAT" or "./lariat"

-- A port of the loopback address where nobody listens.
local function free_port()
  local server <close> = assert(socket.bind("127.0.0.1", 0))
  return (select(2, server:getsockname()))
end

-- A listener whose queue is full: who connects now waits until somebody accepts.
local function busy_listener()
  local server = assert(socket.tcp4())
  assert(server:bind("127.0.0.1", 0))
  assert(server:listen(0))
  local _, port = server:getsockname()
  local queue, full = {}, false
  while not full do
    local client = socket.tcp()
    client:settimeout(0)
    client:connect("127.0.0.1", port)
    queue[#queue + 1] = client
    local _, writable = socket.select(nil, { client }, 0.02)
    full = #writable == 0
  end
  return setmetatable({ server = server, port = port }, { __close = function()
    server:close()
    for _, client in ipairs(queue) do client:close() end
  end })
end

describe("connecting", function()
  it("to a port nobody listens on is refused", function()
    local port = free_port()
    assert.same({ nil, "connection refused" }, { socket.connect("127.0.0.1", port) })
    local client <close> = socket.tcp()
    assert.same({ nil, "connection refused" }, { client:connect("127.0.0.1", port) })
    assert.equal("tcp{client}", client.class)
  end)

  it("after a refusal works with the same object", function()
    local port = free_port()
    local client <close> = socket.tcp()
    assert.same({ nil, "connection refused" }, { client:connect("127.0.0.1", port) })
    local server <close> = assert(socket.bind("127.0.0.1", port))
    local ok, message = client:connect("127.0.0.1", port)
    -- Linux reports the end of the first attempt once more
    if not ok then ok, message = client:connect("127.0.0.1", port) end
    assert.equal(1, ok, message)
    local accepted <close> = assert(server:accept())
    client:send "second try\n"
    assert.equal("second try", accepted:receive())
  end)

  it("to a server that does not answer times out", function()
    local busy <close> = busy_listener()
    local client <close> = socket.tcp()
    client:settimeout(0.02)
    assert.same({ nil, "timeout" }, { client:connect("127.0.0.1", busy.port) })
    client:settimeout(-1)
    client:settimeout(0.02, "t")
    assert.same({ nil, "timeout" }, { client:connect("127.0.0.1", busy.port) })
  end)

  it("with timeout 0 says timeout, then that it is under way", function()
    local busy <close> = busy_listener()
    local client <close> = socket.tcp()
    client:settimeout(0)
    assert.same({ nil, "timeout" }, { client:connect("127.0.0.1", busy.port) })
    assert.same({ nil, "Operation already in progress" },
      { client:connect("127.0.0.1", busy.port) })
    local _, writable = socket.select(nil, { client }, 0)
    assert.equal(0, #writable)
  end)

  it("with timeout 0, select and connect again succeeds", function()
    local server <close> = assert(socket.bind("127.0.0.1", 0))
    local _, port = server:getsockname()
    local client <close> = socket.tcp4()
    local fd = client:getfd()
    client:settimeout(0)
    local ok, message = client:connect("127.0.0.1", port)
    if not ok then
      assert.equal("timeout", message)
      local _, writable = socket.select(nil, { client }, 5)
      assert.equal(client, writable[1])
      ok, message = client:connect("127.0.0.1", port)
      assert.is_true(ok == 1 or message == "already connected", message)
    end
    assert.equal(fd, client:getfd())
    local accepted <close> = assert(server:accept())
    client:send "there\n"
    assert.equal("there", accepted:receive())
  end)

  it("with timeout 0 to a port nobody listens on is refused by the second call", function()
    local port = free_port()
    local client <close> = socket.tcp()
    client:settimeout(0)
    local _, message = client:connect("127.0.0.1", port)
    if message == "timeout" then
      socket.select(nil, { client }, 5)
      _, message = client:connect("127.0.0.1", port)
    end
    assert.equal("connection refused", message)
  end)

  it("twice says already connected", function()
    local port, server <close> = net.server(function(conn) conn:receive() end)
    assert.is_table(server)
    local client <close> = assert(socket.connect("127.0.0.1", port))
    assert.same({ nil, "already connected" }, { client:connect("127.0.0.1", port) })
  end)

  it("ends when another task closes the socket", function()
    local busy <close> = busy_listener()
    local client = socket.tcp()
    local connecting = task.spawn(client.connect, client, "127.0.0.1", busy.port)
    task.yield()
    assert.equal("waiting", connecting:status())
    client:close()
    assert.same({ nil, "closed" }, { connecting:join() })
    assert.same({ nil, "closed" }, { client:connect("127.0.0.1", busy.port) })
  end)

  it("ends when its task is cancelled", function()
    local busy <close> = busy_listener()
    local closed
    local connecting = task.spawn(function()
      local client <close> = socket.tcp()
      local guard <close> = setmetatable({}, { __close = function() closed = true end })
      assert.is_table(guard)
      client:connect("127.0.0.1", busy.port)
    end)
    task.yield()
    connecting:cancel()
    assert.same({ nil, "cancelled" }, { connecting:join() })
    assert.is_true(closed)
  end)

  it("from a local address", function()
    local server <close> = assert(socket.bind("127.0.0.1", 0))
    local _, port = server:getsockname()
    local client <close> = assert(socket.connect("127.0.0.1", port, "127.0.0.5", 0))
    local accepted <close> = assert(server:accept())
    assert.equal("127.0.0.5", (accepted:getpeername()))
    assert.equal("127.0.0.5", (client:getsockname()))
    local named <close> = assert(socket.connect4("localhost", port, "127.0.0.6", 0))
    assert.equal("127.0.0.6", (named:getsockname()))
  end)

  it("from a local address that is not ours fails", function()
    local message = "Cannot assign requested address"
    assert.same({ nil, message }, { socket.connect("127.0.0.1", 1, "192.0.2.77", 0) })
  end)

  it("to what getsockname returns takes the family for no local address", function()
    local server <close> = assert(socket.bind("127.0.0.1", 0))
    local host, port, family = server:getsockname()
    assert.equal("inet", family)
    local client <close> = assert(socket.connect(host, port, family))
    assert.equal("127.0.0.1", (client:getsockname()))
    -- with a local port, or where it names no family, it is a local address as ever
    assert.is_nil((socket.connect(host, port, family, 0)))
    assert.is_nil((socket.connect(host, port, "no-such-host.invalid")))
    assert.same({ nil, "Address family for hostname not supported" },
      { socket.connect(host, port, "inet6") })
  end)

  it("to a path is no host with a port", function()
    assert.same({ nil, "No such file or directory" }, { socket.connect "/nowhere/at/all" })
    assert.same({ nil, "No such file or directory" },
      { socket.connect("/nowhere/at/all", { timeout = 5 }) })
    assert.is_nil((socket.connect("/nowhere/at/all", 80)))
    assert.error_matches(function() socket.connect "nowhere" end, "#2 to 'connect'")
  end)

  it("with a bad port or host says so", function()
    local client <close> = socket.tcp()
    for _, port in ipairs { 70000, -1 } do
      local ok, message = client:connect("127.0.0.1", port)
      assert.is_nil(ok)
      assert.matches("out of range", message)
    end
    assert.matches("service", select(2, client:connect("127.0.0.1", "x")))
    assert.error_matches(function() client:connect() end, "bad argument #1 to 'connect'")
    assert.error_matches(function() client:connect("127.0.0.1") end,
      "bad argument #2 to 'connect'")
    assert.same({ nil, "host contains a zero byte" }, { client:connect("127.0.0.1\0.invalid", 1) })
    assert.same({ nil, "host contains a zero byte" }, { socket.connect("127.0.0.1\0", 1) })
    assert.equal("tcp{master}", client.class)
    local ok, message = socket.connect("no-such-host.invalid", 80)
    assert.is_nil(ok)
    assert.is_string(message)
  end)

  it("or binding without a descriptor left says so, in every form", function()
    local script = [[
      local socket, held = require "socket", {}
      repeat
        local sock = socket.udp4()
        held[#held + 1] = sock
      until not sock
      print(socket.connect("127.0.0.1", 9))
      print(socket.connect4("127.0.0.1", 9))
      print(socket.connect6("::1", 9))
      print(socket.connect("127.0.0.1", 9, "127.0.0.1"))
      print(socket.connect("unix:/nowhere"))
      print(socket.bind("127.0.0.1", 0))
      print(socket.bind("unix:/nowhere"))
    ]]
    local child <close> = assert(require "lariat".run { "sh", "-c",
      'ulimit -n 40; exec "$0" -e "$1"', LARIAT, script })
    assert.equal(("nil\tToo many open files\n"):rep(7), (child.stdout:receive "*a"))
    assert.same({ "exit", 0 }, { child:wait() })
  end)

  it("to an IPv6 address on an IPv4 socket fails", function()
    local ok, message = socket.connect4("::1", 80)
    assert.is_nil(ok)
    assert.is_string(message)
  end)

  it("sets TCP_NODELAY on both ends", function()
    local a, b = net.pair()
    assert.same({ true, true }, { a:getoption "tcp-nodelay", b:getoption "tcp-nodelay" })
    a:close()
    b:close()
  end)
end)
