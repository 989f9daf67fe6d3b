-- SPDX-License-Identifier: MIT
--
-- Debian's LuaSec, unmodified: ssl.wrap on both ends of a connection, and curl against a server
-- made of it. LuaSec does the TLS; the waiting suspends one task.

local lariat = require "lariat"
local net = require "spec.support.net"
local peers = require "spec.support.peers"
local run = require "spec.support.program"
local socket = require "socket"
local ssl = require "ssl"
local task = require "lariat.task"

local dir, key, certificate

local function client_of(conn, options)
  local params = { mode = "client", protocol = "any", verify = "none", options = "all" }
  for name, value in pairs(options or {}) do params[name] = value end
  return assert(ssl.wrap(conn, params))
end

local function server_of(conn)
  return assert(ssl.wrap(conn, {
    mode = "server", protocol = "any", key = key, certificate = certificate,
  }))
end

-- Both ends of a TLS connection, and what closes them.
local function pair()
  local a, b = net.pair()
  a:setoption("send-buffer-size", 32768) -- the kernel would take megabytes that nobody reads
  b:setoption("recv-buffer-size", 32768)
  local client, server = client_of(a), server_of(b)
  local shaken = task.spawn(server.dohandshake, server)
  assert(client:dohandshake())
  assert(shaken:join())
  return client, server, setmetatable({}, { __close = function()
    client:close()
    server:close()
  end })
end

setup(function()
  dir = peers.directory()
  key, certificate = peers.certificate(dir)
end)

teardown(function() dir:close() end)

describe("LuaSec's handshake with a peer that", function()
  local function handshake(handler, seconds)
    local port, closer <close> = net.server(handler)
    assert.is_table(closer)
    local conn <close> = client_of(assert(socket.connect("127.0.0.1", port)))
    conn:settimeout(seconds)
    return conn:dohandshake()
  end

  it("says nothing: wantread once the time is up", function()
    local ok, message = handshake(function(conn) conn:receive "a" end, 0.05)
    assert.same({ false, "wantread" }, { ok, message })
  end)

  it("speaks no TLS: says what OpenSSL says", function()
    local ok, message = handshake(function(conn) conn:send "garbage, not TLS\n" end)
    assert.same({ false, "wrong version number" }, { ok, message })
  end)

  it("closes: fails", function()
    local ok, message = handshake(function() end)
    assert.is_false(ok)
    assert.is_true(message ~= "wantread" and message ~= "wantwrite", message)
  end)

  it("was closed by us: says closed", function()
    local a, b <close> = net.pair()
    assert.is_userdata(b)
    local conn = client_of(a)
    conn:close()
    assert.same({ false, "closed" }, { conn:dohandshake() })
  end)
end)

describe("LuaSec's connection", function()
  it("is LuaSec's own, with the descriptor taken from the socket", function()
    local a, b <close> = net.pair()
    assert.is_userdata(b)
    local fd = a:getfd()
    local conn <close> = client_of(a)
    assert.equal(fd, conn:getfd())
    assert.equal(-1, a:getfd())
    assert.matches("^SSL connection: ", tostring(conn))
  end)

  it("receives lines, counts and all, in pieces as they come", function()
    local a, b, closer <close> = pair()
    assert.is_table(closer)
    local writer = task.spawn(function()
      for _, piece in ipairs { "a li", "ne\r\nnext\n12", "345", "the ", "rest" } do
        b:send(piece)
        task.yield()
      end
      b:close()
    end)
    assert.equal("a line", a:receive())
    assert.equal("next", a:receive "*l")
    assert.equal("12345", a:receive(5))
    assert.equal("the rest", a:receive "*a")
    assert.same({ nil, "closed", "" }, { a:receive "*a" })
    writer:join()
  end)

  it("returns as many values as LuaSec does, whether it had to wait or not", function()
    local a, b, closer <close> = pair()
    assert.is_table(closer)
    for _, pattern in ipairs { "*l", 8, "*a" } do
      for _, waits in ipairs { false, true } do
        local writer = task.spawn(function()
          b:send "half a "
          if waits then
            task.yield()
            task.yield()
          end
          b:send "\n"
          if pattern == "*a" and waits then b:close() end
        end)
        if pattern ~= "*a" or waits then
          local results = table.pack(a:receive(pattern))
          assert.equal(3, results.n, pattern)
          assert.same({ nil, nil }, { results[2], results[3] })
        end
        writer:join()
      end
    end
    assert.equal(3, select("#", a:receive()))
    local c, d, both <close> = pair()
    assert.is_table(both)
    assert.equal(1, select("#", c:dohandshake()))
    assert.equal(3, select("#", c:send "x"))
    local data = ("x"):rep(1 << 20)
    local sending = task.spawn(function() return select("#", c:send(data)) end)
    assert.equal(1 + #data, #d:receive(1 + #data))
    assert.equal(3, (sending:join()))
  end)

  it("told a wrong argument says so at the script's line, as LuaSec does", function()
    local a, b, closer <close> = pair()
    assert.is_table(closer)
    assert.is_userdata(b)
    for what, f in pairs {
      ["#1 to 'receive' (invalid receive pattern)"] = function() local _ = a:receive "*x" end,
      ["#2 to 'receive' (string expected, got table)"] = function() local _ = a:receive(1, {}) end,
      ["#1 to 'send' (string expected, got table)"] = function() local _ = a:send {} end,
      ["#1 to 'settimeout' (number expected, got table)"] = function()
        local _ = a:settimeout {}
      end,
      ["#1 to 'dohandshake' (SSL:Connection expected, got table)"] = function()
        local _ = a.dohandshake {}
      end,
    } do
      local ok, message = pcall(f)
      assert.is_false(ok)
      assert.equal("library_luasec_spec.lua: bad argument " .. what,
        (message:gsub("^.*/", ""):gsub(":%d+:", ":")))
    end
  end)

  it("closed before the request was read delivers what it sent", function()
    local a, b, closer <close> = pair()
    assert.is_table(closer)
    local answer = ("0123456789"):rep(30000)
    for _ = 1, 10 do a:send(("unread"):rep(1000)) end
    local answering = task.spawn(function()
      assert.equal(#answer, b:send(answer))
      b:close()
    end)
    assert.is_true(a:receive(#answer) == answer)
    assert.same({ nil, "closed", "" }, { a:receive() })
    answering:join()
  end)

  it("keeps what came before the time was up", function()
    local a, b, closer <close> = pair()
    assert.is_table(closer)
    a:settimeout(0.02)
    b:send "half a "
    assert.same({ nil, "wantread", "half a " }, { a:receive() })
    b:send "line\n"
    assert.equal("half a line", a:receive("*l", "half a "))
    b:send "123"
    assert.same({ nil, "wantread", "<123" }, { a:receive(5, "<") })
    b:send "4"
    assert.equal("<1234", a:receive(5, "<123"))
    a:settimeout(0)
    assert.same({ nil, "wantread", "" }, { a:receive(1) })
    a:settimeout(nil)
    a:settimeout(0.02, "t")
    assert.same({ nil, "wantread", "" }, { a:receive(1) })
  end)

  it("sends what a slow reader leaves room for, and goes on where it stopped", function()
    local a, b, closer <close> = pair()
    assert.is_table(closer)
    local data = ("0123456789abcdef"):rep(1 << 16)
    a:settimeout(0.05)
    local ok, message, last = a:send(data)
    assert.same({ nil, "wantwrite" }, { ok, message })
    assert.is_true(last > 0 and last < #data)
    local reader = task.spawn(b.receive, b, #data)
    a:settimeout(nil)
    assert.equal(#data, a:send(data, last + 1))
    assert.is_true(reader:join() == data)
  end)

  it("carries both directions at once", function()
    local a, b, closer <close> = pair()
    assert.is_table(closer)
    local data = ("x"):rep(1 << 21)
    local tasks = {}
    for _, conn in ipairs { a, b } do
      tasks[#tasks + 1] = task.spawn(function() return conn:send(data) == #data end)
      tasks[#tasks + 1] = task.spawn(function() return conn:receive(#data) == data end)
    end
    for _, each in ipairs(tasks) do assert.is_true(each:join()) end
  end)

  it("sends the messages of several tasks whole, one after the other", function()
    local a, b, closer <close> = pair()
    assert.is_table(closer)
    local size = 1 << 18
    local senders = task.spawn(peers.together, 4, function(i)
      return a:send(tostring(i):rep(size))
    end)
    local seen = {}
    for _ = 1, 4 do
      local message = b:receive(size)
      seen[message:sub(1, 1)] = message == message:sub(1, 1):rep(size)
    end
    assert.same({ ["1"] = true, ["2"] = true, ["3"] = true, ["4"] = true }, seen)
    for _, sent in ipairs(senders:join()) do assert.equal(size, sent) end
  end)

  it("has one reader at a time, and says so to a second", function()
    local a, b, closer <close> = pair()
    assert.is_table(closer)
    local first = task.spawn(a.receive, a)
    task.yield()
    assert.same({ nil, "socket busy reading", "" }, { a:receive() })
    b:send "for the first\nfor the second\n"
    assert.equal("for the first", (first:join()))
    assert.equal("for the second", a:receive())
  end)

  it("that always has something to read lets others have a turn", function()
    local a, b, closer <close> = pair()
    assert.is_table(closer)
    local sent = task.spawn(function() b:send(("x\n"):rep(4000)) end)
    local turns, over = 0, false
    local other = task.spawn(function()
      while not over do
        turns = turns + 1
        task.yield()
      end
    end)
    sent:join()
    local before = turns
    for _ = 1, 4000 do assert.equal("x", a:receive()) end
    over = true
    assert.is_true(turns - before >= 4000 // 64)
    other:join()
  end)

  it("can be selected", function()
    local a, b, closer <close> = pair()
    assert.is_table(closer)
    a:settimeout(0)
    assert.same({ nil, "wantread", "" }, { a:receive(1) }) -- takes what OpenSSL says for itself
    local readable, _, message = socket.select({ a }, nil, 0)
    assert.same({ 0, "timeout" }, { #readable, message })
    local selected = task.spawn(socket.select, { a }, nil)
    task.yield()
    b:send "now\nand then\n"
    assert.equal(a, selected:join()[1])
    assert.equal("now", a:receive())
    assert.equal(a, socket.select({ a }, nil, 0)[1]) -- the second line is in its buffer
  end)

  it("closed by another task ends the wait", function()
    local a, b, closer <close> = pair()
    assert.is_table(closer)
    assert.is_userdata(b)
    local receiving = task.spawn(a.receive, a)
    task.yield()
    a:close()
    assert.same({ nil, "closed", "" }, { receiving:join() })
  end)

  it("ends its wait when the task is cancelled, and can be used by another", function()
    local a, b, closer <close> = pair()
    assert.is_table(closer)
    local receiving = task.spawn(a.receive, a)
    task.yield()
    receiving:cancel()
    assert.same({ nil, "cancelled" }, { receiving:join() })
    b:send "for somebody else\n"
    assert.equal("for somebody else", a:receive())
  end)

  it("closes at once though the peer reads nothing", function()
    local a, b, closer <close> = pair()
    assert.is_table(closer)
    a:settimeout(0)
    local last, _, sent = 0, nil, 0
    while last do last, _, sent = a:send(("x"):rep(1 << 20)) end
    assert.is_true(sent < 1 << 20)
    a:close()
    assert.equal(-1, a:getfd())
    assert.is_userdata(b)
  end)

  it("serves curl", function()
    local port, closer <close> = net.server(function(raw)
      local conn <close> = server_of(raw)
      assert(conn:dohandshake())
      while conn:receive() ~= "" do end
      conn:send "HTTP/1.0 200 OK\r\n\r\nby LuaSec"
    end)
    assert.is_table(closer)
    local curl <close> = assert(lariat.run { "curl", "-s", "--cacert", certificate,
      ("https://localhost:%d/"):format(port) })
    assert.equal("by LuaSec", curl.stdout:receive "a")
  end)
end)

describe("LuaSec in a simulation", function()
  it("says that it is not simulated, at the line that calls it", function()
    local sim = require "lariat.sim"
    local result = sim.try({ echo = false }, function(network)
      network:host("server", function()
        socket.serve("*", 443, function(conn) conn:receive() end)
      end)
      client_of(assert(socket.connect("server", 443)))
    end)
    assert.is_false(result.ok)
    assert.matches("library_luasec_spec.lua:%d+: LuaSec is not simulated: ", result.error)
  end)

  it("is none of the connections outside: a host that loads it changes nothing for them", function()
    local sim = require "lariat.sim"
    local script <close> = run.file [[print(require "ssl".wrap)]]
    local result = sim.try({ echo = false }, function(network)
      network:client("host", script.path)
    end)
    assert.is_true(result.ok)
    local client, server, closer <close> = pair()
    assert.is_table(closer)
    client:settimeout(0.01)
    assert.same({ nil, "wantread", "" }, { client:receive() })
    server:send "hello\n"
    client:settimeout(5)
    assert.equal("hello", client:receive())
  end)
end)
