-- SPDX-License-Identifier: MIT
--
-- Unix sockets, stream and datagram: a path, or an abstract name, takes the place of host and port.

local socket = require "socket"
local unix = require "socket.unix"
local task = require "lariat.task"

local paths = {}

-- A path where nothing is, removed after the test.
local function fresh_path()
  local path = os.tmpname()
  os.remove(path)
  paths[#paths + 1] = path
  return path
end

local function exists(path)
  local ok, _, code = os.rename(path, path)
  return ok or code ~= 2
end

after_each(function()
  for _, path in ipairs(paths) do os.remove(path) end
  paths = {}
end)

local function echo(conn)
  for line in conn:lines "L" do conn:send(line) end
end

describe("socket.unix", function()
  it("is callable and a table of constructors", function()
    for name, class in pairs { stream = "unixstream{master}", tcp = "unixstream{master}",
      dgram = "unixdgram{unconnected}", udp = "unixdgram{unconnected}" } do
      local s <close> = unix[name]()
      assert.equal(class, s.class)
      assert.equal(class, tostring(s):match "^[^:]+")
    end
    local s <close> = unix()
    assert.equal("unixstream{master}", s.class)
  end)
end)

describe("a unix stream", function()
  it("goes from bind to accept as TCP does, with a path", function()
    local path = fresh_path()
    local server <close> = unix.stream()
    assert.equal(1, server:bind(path))
    assert.equal(1, server:listen())
    assert.matches("^unixstream{server}", tostring(server))
    local client <close> = unix.stream()
    assert.equal(1, client:connect(path))
    local conn <close> = assert(server:accept())
    assert.matches("^unixstream{client}", tostring(conn))
    client:send "one\ntwo"
    client:shutdown "send"
    assert.equal("one", conn:receive())
    assert.same({ nil, "closed", "two" }, { conn:receive() })
    conn:send "answer\n"
    assert.equal("answer", client:receive())
  end)

  it("is served and connected by addresses like unix:/path", function()
    local path = fresh_path()
    local server <close> = assert(socket.bind("unix:" .. path))
    local serving = task.spawn(function() return server:serve(echo) end)
    local client <close> = assert(socket.connect("unix:" .. path))
    client:send "hello\n"
    assert.equal("hello", client:receive())
    client:close()
    server:close()
    assert.is_true(serving:join())
  end)

  it("is served by socket.serve with no port", function()
    local address = "unix:" .. fresh_path()
    local serving = task.spawn(socket.serve, address, echo)
    local client
    while not client do
      client = socket.connect(address)
      task.yield()
    end
    client:send "hello\n"
    assert.equal("hello", client:receive())
    client:close()
    serving:cancel()
    assert.same({ nil, "cancelled" }, { serving:join() })
  end)

  it("carries more than a socket buffer holds", function()
    local path = fresh_path()
    local server <close> = assert(socket.bind("unix:" .. path))
    local client <close> = assert(socket.connect("unix:" .. path))
    local conn <close> = assert(server:accept())
    local data = ("0123456789abcdef"):rep(128 * 1024)
    local sending = task.spawn(function()
      assert.equal(#data, client:send(data))
      client:shutdown "send"
    end)
    assert.equal(data, conn:receive "*a")
    sending:join()
  end)

  it("waits for room in the listener's backlog", function()
    local path = fresh_path()
    local server <close> = unix.stream()
    assert(server:bind(path))
    assert(server:listen(1))
    local clients = {}
    for i = 1, 6 do
      clients[i] = task.spawn(function()
        local s = unix.stream()
        s:settimeout(5)
        assert(s:connect(path))
        return s
      end)
    end
    for _ = 1, 6 do assert(server:accept()):close() end
    for i = 1, 6 do clients[i]:join():close() end
  end)

  it("says why it cannot connect", function()
    local function reason(path)
      local s <close> = unix.stream()
      local ok, message = s:connect(path)
      assert.is_nil(ok)
      return message
    end
    local path = fresh_path()
    assert.equal("No such file or directory", reason(path))
    socket.bind("unix:" .. path):close()
    assert.is_true(exists(path))
    assert.equal("connection refused", reason(path))
    assert.equal("path too long", reason(("x"):rep(108)))
    assert.same({ nil, "connection refused" }, { socket.connect("unix:" .. path) })
  end)

  it("says why it cannot bind", function()
    local path = fresh_path()
    local server <close> = assert(socket.bind("unix:" .. path))
    assert(server)
    assert.same({ nil, "address already in use" }, { socket.bind("unix:" .. path) })
    assert.same({ nil, "path too long" }, { socket.bind("unix:" .. ("x"):rep(108)) })
    local cut = { nil, "path contains a zero byte" } -- the kernel would take what is before it
    assert.same(cut, { socket.bind("unix:" .. fresh_path() .. "\0more") })
    assert.same(cut, { unix.dgram():sendto("x", path .. "\0more") })
    assert.same({ nil, "No such file or directory" },
      { socket.bind "unix:/no-such-directory/socket" })
    local s <close> = unix.stream()
    assert.has_error(function() s:bind() end)
    assert.has_error(function() s:connect {} end)
  end)

  it("takes a path of 107 bytes", function()
    local path = fresh_path()
    path = path .. ("x"):rep(107 - #path)
    paths[#paths + 1] = path
    local server <close> = assert(socket.bind("unix:" .. path))
    local client <close> = assert(socket.connect("unix:" .. path))
    assert.equal(path, (server:getsockname()))
    assert.equal(path, (client:getpeername()))
    assert.equal("", (client:getsockname()))
  end)

  it("takes an abstract name, which leaves no file", function()
    local name = "\0lariat-spec" .. fresh_path()
    local server <close> = assert(socket.bind("unix:" .. name))
    local client <close> = assert(socket.connect("unix:" .. name))
    local conn <close> = assert(server:accept())
    assert.equal(name, (server:getsockname()))
    client:send "abstract\n"
    assert.equal("abstract", conn:receive())
    assert.is_false(exists(name:sub(2)))
  end)
end)

describe("a unix datagram socket", function()
  local function bound()
    local s = unix.dgram()
    local path = fresh_path()
    assert(s:bind(path))
    s:settimeout(5)
    return s, path
  end

  it("sends to a path and tells whence a datagram came", function()
    local a <close>, path_a = bound()
    local b <close>, path_b = bound()
    assert(b:sendto("hello", path_a))
    assert.same({ "hello", path_b }, { a:receivefrom() })
    assert(a:sendto("", path_b))
    assert.equal("", b:receive())
  end)

  it("connects to a path", function()
    local a <close>, path = bound()
    local b <close> = unix.dgram()
    assert.equal(1, b:connect(path))
    assert.matches("^unixdgram{connected}", tostring(b))
    assert(b:send "one")
    assert.equal("one", a:receive())
  end)

  it("answers to LuaSocket's other names for bind and connect", function()
    local path = fresh_path()
    local a <close> = unix.dgram()
    assert.equal(1, a:setsockname(path))
    local b <close> = unix.dgram()
    assert.equal(1, b:setpeername(path))
    assert(b:send "x")
    assert.equal("x", a:receive())
  end)

  it("says what is wrong with a destination", function()
    local s <close> = unix.dgram()
    assert.same({ nil, "No such file or directory" }, { s:sendto("x", fresh_path()) })
    assert.same({ nil, "path too long" }, { s:sendto("x", ("x"):rep(108)) })
    local gone, path = bound()
    gone:close()
    assert.same({ nil, "connection refused" }, { s:sendto("x", path) })
    assert.same({ nil, "connection refused" }, { s:connect(path) })
  end)

  it("cuts a datagram that is longer than asked for", function()
    local a <close>, path = bound()
    local b <close> = unix.dgram()
    b:sendto("0123456789", path)
    b:sendto("next", path)
    assert.equal("0123", a:receive(4))
    assert.equal("next", a:receive())
  end)

  it("backs off while the receiver is full and loses nothing", function()
    local a <close>, path = bound()
    local b <close> = unix.dgram()
    b:settimeout(0)
    local sent = 0
    local ok, message
    repeat
      ok, message = b:sendto(tostring(sent + 1), path)
      if ok then sent = sent + 1 end
    until not ok or sent > 100000
    assert.equal("timeout", message) -- the receiver is full now
    b:settimeout(5)
    local sender = task.spawn(function()
      for i = sent + 1, sent + 300 do assert(b:sendto(tostring(i), path)) end
    end)
    task.yield()
    assert.equal("waiting", sender:status())
    for i = 1, sent + 300 do assert.equal(tostring(i), a:receive()) end
    sender:join()
  end)

  it("sends and receives many at once", function()
    local a <close>, path_a = bound()
    local b <close>, path_b = bound()
    assert.equal(2, b:sendmany { { "one", path_a }, { "two", path_a } })
    assert.same({ { "one", path_b }, { "two", path_b } }, a:receivemany(10))
  end)
end)
