-- SPDX-License-Identifier: MIT
--
-- Bytes in order, whatever becomes of the packets that carry them: over the kernel and simulated.

local lan = require "spec.support.lan"
local socket = require "socket"
local task = require "lariat.task"

-- More than all buffers on the way hold. In bad weather most packets are tiny, but buffers are not
-- the kernel's.
local function much(net)
  return net.bad and 512 * 1024 or 16 * 1024 * 1024
end

local filler = {}
for i = 1, 800 do filler[i] = ("%04x|"):format(i) end
filler = table.concat(filler)

-- No two places of it look alike, so a byte lost, repeated or moved shows.
local function pattern(size)
  local parts = {}
  for i = 1, size // #filler + 1 do parts[i] = ("%08x|"):format(i) .. filler end
  return table.concat(parts):sub(1, size)
end

local function send_in_pieces(sock, ...)
  for _, piece in ipairs { ... } do
    assert(sock:send(piece))
    assert(sock:flush())
    task.yield()
  end
end

lan.describe("a stream", function(_, any)
  any("puts lines together that came in pieces", function(net)
    local client, conn = net:pair()
    local sending = task.spawn(send_in_pieces, conn, "one li", "ne\nand", " two\r", "\nth", "ree\n")
    assert.equal("one line", client:receive())
    assert.equal("and two", client:receive())
    assert.equal("three\n", client:receive "L")
    sending:join()
  end)

  any("can be read a byte at a time", function(net)
    local client, conn = net:pair()
    local text = pattern(3000)
    assert.equal(#text, conn:send(text))
    local bytes = {}
    for i = 1, #text do bytes[i] = assert(client:receive(1)) end
    assert.equal(text, table.concat(bytes))
  end)

  any("can be read in amounts other than those sent", function(net)
    local client, conn = net:pair()
    local text = pattern(100000)
    local sending = task.spawn(function()
      local at = 1
      for size = 1, math.huge do
        if at > #text then break end
        assert(conn:send(text, at, math.min(at + size * 7 - 1, #text)))
        at = at + size * 7
      end
      conn:shutdown "send"
    end)
    local parts = {}
    for size = 1, math.huge do
      local part, message, rest = client:receive(size * 11)
      parts[#parts + 1] = part or rest
      if not part then
        assert.equal("closed", message)
        break
      end
    end
    assert.equal(text, table.concat(parts))
    sending:join()
  end)

  any("carries both directions at once", function(net)
    local client, conn = net:pair()
    local there, back = pattern(300000), pattern(200000):reverse()
    local function exchange(sock, text, size)
      local sending = task.spawn(sock.send, sock, text)
      local data = assert(sock:receive(size))
      assert.equal(#text, sending:join())
      return data
    end
    local near = task.spawn(exchange, client, there, #back)
    assert.equal(there, exchange(conn, back, #there))
    assert.equal(back, near:join())
  end)

  any("gives what there is, up to a delimiter, or a look ahead", function(net)
    local client, conn = net:pair()
    local sending = task.spawn(send_in_pieces, conn, "head", "er;bo", "dy", "tail")
    assert.equal("hea", client:peek(3))
    assert.equal("header", client:receiveuntil ";")
    assert.equal("body", client:receive(4))
    local rest = ""
    while #rest < 4 do rest = rest .. assert(client:receiveany()) end
    assert.equal("tail", rest)
    sending:join()
  end)

  any("is looked at piece by piece, and what was seen is skipped", function(net)
    local client, conn = net:pair()
    local sending = task.spawn(send_in_pieces, conn, "he", "ad", "er", "body")
    local seen, taken = "", nil
    while #seen < 10 do
      local piece, count = assert(client:peek(1, 100, #seen))
      seen, taken = seen .. piece, count
    end
    assert.equal("headerbody", seen)
    assert.is_true(client:skip(6, taken))
    assert.is_false(client:skip(1, taken))
    assert.equal("body", client:receive(4))
    sending:join()
  end)

  any("counts what it has sent and received", function(net)
    local client, conn = net:pair()
    assert.equal(5000, client:send(pattern(5000)))
    assert.equal(pattern(5000), conn:receive(5000))
    assert.equal(7, conn:send "answer\n")
    assert.equal("answer", client:receive())
    local received, sent = client:getstats()
    assert.same({ 7, 5000 }, { received, sent })
    received, sent = conn:getstats()
    assert.same({ 5000, 7 }, { received, sent })
  end)

  any("is copied whole by pipe", function(net)
    local a, b = net:pair()
    local c, d = net:pair()
    local text = pattern(500000)
    local piping = task.spawn(c.pipe, d, b)
    local sending = task.spawn(function()
      assert.equal(#text, c:send(text))
      c:shutdown "send"
    end)
    assert.equal(text, a:receive "*a")
    assert.equal(#text, piping:join())
    sending:join()
  end)

  any("is relayed both ways", function(net)
    local a, b = net:pair()
    local c, d = net:pair()
    local relaying = task.spawn(socket.relay, b, d)
    assert.equal(9, a:send "question\n")
    assert.equal("question", c:receive())
    assert.equal(7, c:send "answer\n")
    assert.equal("answer", a:receive())
    a:shutdown "send"
    assert.same({ nil, "closed", "" }, { c:receive() })
    c:close()
    relaying:join()
    assert.same({ nil, "closed", "" }, { a:receive() })
  end)

  any("has one reader at a time", function(net)
    local client, conn = net:pair()
    local reading = task.spawn(client.receive, client)
    task.yield()
    local line, message = client:receive()
    assert.same({ nil, "socket busy reading" }, { line, message })
    conn:send "for the first\n"
    assert.equal("for the first", reading:join())
  end)

  any("keeps the messages of several senders whole", function(net)
    local client, conn = net:pair()
    local senders = {}
    for i = 1, 4 do
      senders[i] = task.spawn(client.send, client, (tostring(i)):rep(300000) .. "\n")
    end
    for _ = 1, 4 do
      local line = assert(conn:receive())
      assert.equal(300000, #line)
      assert.equal(line:sub(1, 1):rep(300000), line)
    end
    for i = 1, 4 do assert.equal(300001, senders[i]:join()) end
  end)
end)

lan.describe("a sender whose peer does not read", function(calm, any)
  any("is stopped, and goes on when the peer reads", function(net)
    local client, conn = net:pair()
    local text = pattern(much(net))
    local sending = task.spawn(client.send, client, text)
    net:arrives(conn)
    task.yield()
    assert.equal("waiting", sending:status())
    local parts, size = {}, 0
    while size < #text do
      local part = assert(conn:receiveany())
      parts[#parts + 1] = part
      size = size + #part
    end
    assert.is_true(table.concat(parts) == text)
    assert.equal(#text, sending:join())
  end)

  any("is told by a timeout how much is on its way, exactly", function(net)
    local client, conn = net:pair()
    local text = pattern(much(net))
    client:settimeout(0.05)
    local sent, message, last = client:send(text)
    assert.same({ nil, "timeout" }, { sent, message })
    assert.is_true(last > 0 and last < #text)
    local reading = task.spawn(conn.receive, conn, "*a")
    local timeouts = 0
    while last < #text do
      sent, message, last = client:send(text, last + 1)
      if sent then break end
      assert.equal("timeout", message)
      timeouts = timeouts + 1
    end
    client:shutdown "send"
    assert.is_true(reading:join() == text)
  end)

  calm("is not ready to be written to until the peer reads", function(net)
    local client, conn = net:pair()
    client:settimeout(0)
    repeat
      local sent = client:send(("x"):rep(100000))
      task.yield()
    until not sent
    assert.same({}, (select(2, socket.select(nil, { client }, 0))))
    local reading = task.spawn(conn.receive, conn, "*a")
    assert.equal(client, (select(2, socket.select(nil, { client }, 60)))[1])
    client:close()
    assert.is_truthy(reading:join())
  end)
end)
