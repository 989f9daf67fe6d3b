-- SPDX-License-Identifier: MIT
--
-- Messages from streams: whatever the cut, the same messages and the same errors; whatever ends a
-- read, nothing is lost.

local P = require "spec.wire.protocols"
local lariat = require "lariat"
local net = require "spec.support.net"
local peers = require "spec.support.peers"
local sim = require "lariat.sim"
local socket = require "socket"
local task = require "lariat.task"
local unix = require "socket.unix"
local wire = require "lariat.wire"
local random = require "lariat.internal.wire.random"
local _ENV = wire.names(_ENV)

local SCALE = tonumber(os.getenv "SCALE") or 1
local STREAMS = { "mqtt", "dns_tcp", "resp", "request", "response", "nats", "websocket",
  "memcached",
  "stun", "ipv4", "postgres", "png", "handshake", "person", "quic", "numbers", "udp_packet",
  "syslog_counted", "socks5_request" }

-- Random messages: values, and their bytes in one string.
local function some(m, count, seed)
  local values, parts = {}, {}
  for i = 1, count do
    values[i] = m:random(seed + i)
    parts[i] = m:encode(values[i])
  end
  return values, table.concat(parts)
end

-- Sends a string in pieces of random sizes, with turns for others between them.
local function send_cut(conn, s, seed, most)
  local r = random(seed)
  local i = 1
  while i <= #s do
    local n = r(most)
    assert(conn:send(s, i, math.min(i + n - 1, #s)))
    if conn.flush then conn:flush() end
    i = i + n
    if r(2) == 1 then task.yield() end
  end
end

local function reads_all(m, near, far, count, seed, most)
  local values, bytes = some(m, count, seed)
  local sending = task.spawn(send_cut, far, bytes, seed, most)
  for i = 1, count do
    local value, why = m:read(near)
    if not value then error(("%s, message %d: %s"):format(m.name, i, why)) end
    assert.same(values[i], value)
  end
  sending:join()
end

describe("messages of every protocol come out of", function()
  it("a TCP connection, cut anywhere", function()
    for i, name in ipairs(STREAMS) do
      local near, far = net.pair()
      reads_all(P[name], near, far, 30 // SCALE + 1, i, 2)
      reads_all(P[name], near, far, 60 // SCALE + 1, i + 100, 60)
      near:close()
      far:close()
    end
  end)

  it("a TCP connection, also if one is larger than all buffers on the way", function()
    local near, far = net.pair()
    local m = message "blob" { str(u32) "data", list(u32) "lines" (line) }
    local value = { data = ("rope"):rep(1 << 20), lines = {} }
    for i = 1, 20000 do value.lines[i] = ("line %d"):format(i) end
    local sending = task.spawn(function()
      for _ = 1, 2 do assert(m:write(far, value)) end
    end)
    for _ = 1, 2 do assert.is_true(m:encode(assert(m:read(near))) == m:encode(value)) end
    sending:join()
    near:close()
    far:close()
  end)

  it("a unix socket and a child's pipe", function()
    local path = os.tmpname()
    os.remove(path)
    local listener <close> = assert(unix.stream())
    assert(listener:bind(path))
    assert(listener:listen())
    local client = assert(unix.stream())
    assert(client:connect(path))
    local accepted = assert(listener:accept())
    reads_all(P.mqtt, accepted, client, 100, 1, 30)
    client:close()
    accepted:close()
    os.remove(path)
    local child <close> = assert(lariat.run { "cat", stdin = "pipe" })
    reads_all(P.resp, child.stdout, child.stdin, 100, 2, 30)
  end)

  it("TLS, where what comes behind a message is left alone", function()
    local ssl = require "ssl"
    local dir <close> = peers.directory()
    local key, certificate = peers.certificate(dir)
    local a, b = net.pair()
    local client = ssl.wrap(a, { mode = "client", protocol = "any", verify = "none",
      options = "all" })
    local server = ssl.wrap(b, { mode = "server", protocol = "any", key = key,
      certificate = certificate })
    local shaken = task.spawn(server.dohandshake, server)
    assert(client:dohandshake())
    assert(shaken:join())
    for i, name in ipairs { "mqtt", "nats", "dns_tcp", "request" } do
      reads_all(P[name], client, server, 40 // SCALE + 1, i, 40)
    end
    server:send(P.mqtt:encode { type = "PINGREQ" } .. "a line\n")
    assert.equal("PINGREQ", P.mqtt:read(client).type)
    assert.equal("a line", client:receive())
    client:close()
    server:close()
  end)
end)

describe("a simulated stream", function()
  sim.it("gives the same messages whatever becomes of the packets", { seeds = 200 // SCALE },
    function(world)
    local name = STREAMS[world.seed and world.seed % #STREAMS + 1 or math.random(#STREAMS)]
    local m = P[name]
    local values, bytes = some(m, 40, 7)
    world:host("server", function()
      local server = assert(socket.bind("*", 7))
      local conn = assert(server:accept())
      for i = 1, #values do
        local value, why
        repeat
          conn:settimeout(math.random() < 0.5 and 0.001 or -1)
          value, why = m:read(conn)
        until why ~= "timeout"
        if not value then error(("%s %d: %s"):format(name, i, why)) end
        require "luassert".same(values[i], value)
      end
      conn:send "done\n"
      conn:close()
    end)
    world:client("client", function()
      local conn
      repeat conn = socket.connect("server", 7) until conn
      send_cut(conn, bytes, math.random(1 << 30), 100)
      assert(conn:receive() == "done")
    end)
  end)
end)

describe("a read that is ended", function()
  local near, far
  before_each(function() near, far = net.pair() end)
  after_each(function()
    near:close()
    far:close()
  end)

  it("by a timeout, a deadline or a cancellation loses nothing", function()
    local m = P.mqtt
    local values, bytes = some(m, 60 // SCALE + 5, 3)
    local r, sent, got = random(5), 0, {}
    while #got < #values do
      local n = math.min(r(9), #bytes - sent)
      if n > 0 then
        far:send(bytes, sent + 1, sent + n)
        far:flush()
        sent = sent + n
      end
      local way = r(3)
      if way == 1 then
        near:settimeout(0)
        got[#got + 1] = m:read(near)
        near:settimeout(-1)
      elseif way == 2 then
        local value = task.timeout(0.0005, m.read, m, near)
        if type(value) == "table" then got[#got + 1] = value end
      else
        local reading = task.spawn(m.read, m, near)
        task.yield()
        reading:cancel()
        local value = reading:join()
        if type(value) == "table" then got[#got + 1] = value end
      end
    end
    assert.same(values, got)
  end)

  it("leaves all bytes to who receives in between", function()
    local m = P.nats
    local values, bytes = some(m, 20, 9)
    near:settimeout(0)
    for i, value in ipairs(values) do
      local one = m:encode(value)
      far:send(one:sub(1, -2))
      far:flush()
      assert.same({ nil, "timeout" }, { m:read(near) })
      if i % 2 == 0 then
        far:send(one:sub(-1))
        near:settimeout(-1)
        assert.equal(one, near:receive(#one))
      else
        near:settimeout(-1)
        local head = near:receive(3)
        assert.equal(one:sub(1, 3), head)
        far:send(one:sub(-1))
        assert.equal(one:sub(4), near:receive(#one - 3))
      end
      near:settimeout(0)
    end
    assert.is_string(bytes)
  end)

  it("by another task that reads: both get whole messages", function()
    local m, got = P.resp, {}
    local values, bytes = some(m, 50, 4)
    local first = task.spawn(m.read, m, near)
    task.yield()
    assert.same({ nil, "socket busy reading" }, { m:read(near) })
    send_cut(far, bytes, 1, 20)
    got[1] = first:join()
    for i = 2, #values do got[i] = m:read(near) end
    assert.same(values, got)
  end)

  it("by the end of the stream says whether a message was cut", function()
    far:send(P.mqtt:encode { type = "PINGREQ" } .. "\x30\x10\0\5")
    far:shutdown "send"
    assert.equal("PINGREQ", P.mqtt:read(near).type)
    assert.same({ nil, "mqtt: the stream ended inside a message, after 4 bytes of it" },
      { P.mqtt:read(near) })
    assert.equal("\x30\x10\0\5", near:receive "*a")
    assert.same({ nil, "closed" }, { P.mqtt:read(near) })
  end)

  it("switches to another message in the middle of a stream", function()
    local line, frame = message "line" { line "text" }, message "frame" { str(u16) "data" }
    local feeding = task.spawn(send_cut, far, "upgrade\r\n\0\3abc\0\1xbye\r\n", 3, 2)
    assert.same({ text = "upgrade" }, line:read(near))
    assert.same({ data = "abc" }, frame:read(near))
    assert.same({ data = "x" }, frame:read(near))
    assert.same({ text = "bye" }, line:read(near))
    feeding:join()
  end)
end)

describe("messages", function()
  it("ends with the stream, and raises for what is no message", function()
    local near, far = net.pair()
    local values, bytes = some(P.mqtt, 300, 2)
    far:send(bytes)
    far:shutdown "send"
    local got = {}
    for m in P.mqtt:messages(near) do got[#got + 1] = m end
    assert.same(values, got)
    near:close()
    far:close()
    near, far = net.pair()
    far:send "\x30\x03\0\5abc"
    assert.error_matches(function() P.mqtt:messages(near)() end,
      "topic at offset 4: 5 bytes, 1 left")
    near:close()
    far:close()
  end)

  it("is written as send does", function()
    local near, far = net.pair()
    assert.equal(2, P.mqtt:write(far, { type = "PINGREQ" }))
    assert.same("PINGREQ", P.mqtt:read(near).type)
    near:close()
    assert.is_nil((P.mqtt:write(near, { type = "PINGREQ" })))
    far:close()
  end)
end)

describe("an error in a stream", function()
  local BROKEN = {
    mqtt = "\x30\x0a\0\20abcdefgh", resp = "*2\r\n$3\r\nabcXX", nats = "PUB a b c\r\n",
    request = "GET / HTTP/1.1\r\nno header\r\n\r\n", png = "\x89PNG\r\n\x1a\n\0\0\0\0IENDxxxx",
    postgres = "Q\0\0\0\1", ipv4 = "\x45\0\0\x14" .. ("\1"):rep(16), websocket = "\x80\xff" ..
      ("\xff"):rep(8),
    person = "\3\x0a\9x", memcached = "\x80\0\0\5\0\0\0\0\0\0\0\2" .. ("\0"):rep(14),
  }
  for name, bytes in pairs(BROKEN) do
    it("of " .. name .. " is the same however it is cut", function()
      local m = P[name]
      local whole, why, lacking = m:decode(bytes)
      assert.is_nil(whole)
      assert.is_nil(lacking, why)
      for _, most in ipairs { 1, 2, 7, 100 } do
        local near, far = net.pair()
        local sending = task.spawn(send_cut, far, bytes, most, most)
        assert.same({ nil, why }, { m:read(near) })
        sending:join()
        assert.equal(bytes, near:receive(#bytes))
        near:close()
        far:close()
        local feed, told = m:decoder(), nil
        for i = 1, #bytes, most do
          local messages, problem = feed(bytes:sub(i, i + most - 1))
          told = problem
          if not messages then break end
        end
        assert.equal(why, told)
      end
    end)
  end

  it("is a message over the limit", function()
    local near, far = net.pair()
    local m = message "m" { limit = 1000, line "x" }
    local sending = task.spawn(far.send, far, ("x"):rep(5000))
    assert.same({ nil, "m.x at offset 0: no end within 1000 bytes" }, { m:read(near) })
    sending:join()
    near:close()
    far:close()
  end)
end)

describe("datagrams", function()
  local here, there, port
  before_each(function()
    here, there = assert(socket.udp4()), assert(socket.udp4())
    assert(here:setsockname("127.0.0.1", 0))
    port = select(2, here:getsockname())
  end)
  after_each(function()
    here:close()
    there:close()
  end)

  it("come from the peer of a connected socket", function()
    there:setpeername("127.0.0.1", port)
    local value = some(P.dns, 1, 6)[1]
    assert(P.dns:write(there, value))
    local m, _, from = P.dns:read(here)
    assert.same(value, m)
    P.dns:write(here, value, "127.0.0.1", from)
    assert.same({ value }, { P.dns:read(there) })
    there:settimeout(0)
    assert.same({ nil, "timeout" }, { P.dns:read(there) })
  end)

  it("are messages, with where they are from", function()
    local values = some(P.dns, 20, 6)
    local got = {}
    local reading = task.spawn(function()
      for m, host in P.dns:datagrams(here) do
        assert.equal("127.0.0.1", host)
        got[#got + 1] = m
        if #got == 20 then return end
      end
    end)
    for _, value in ipairs(values) do assert(P.dns:write(there, value, "127.0.0.1", port)) end
    reading:join()
    assert.same(values, got)
  end)

  it("that are no messages, or more than one, are told", function()
    there:sendto("\0\0", "127.0.0.1", port)
    there:sendto(P.mqtt:encode { type = "PINGREQ" } .. "zz", "127.0.0.1", port)
    P.mqtt:write(there, { type = "PINGRESP" }, "127.0.0.1", port)
    local told = {}
    local next_message = P.mqtt:datagrams(here, function(why) told[#told + 1] = why end)
    assert.equal("PINGRESP", next_message().type)
    assert.same({ "mqtt.remaining: no case for type 0", "mqtt: 2 bytes behind its end" },
      { (told[1]:gsub(" at offset %d+", "")), told[2] })
    there:sendto("\x30", "127.0.0.1", port)
    assert.match("incomplete", select(2, P.mqtt:read(here)))
    P.mqtt:write(there, { type = "PINGRESP" }, "127.0.0.1", port)
    assert.equal("PINGRESP", P.mqtt:read(here).type)
  end)
end)
