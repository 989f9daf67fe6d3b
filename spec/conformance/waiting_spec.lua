-- SPDX-License-Identifier: MIT
--
-- Timeouts and readiness: what a wait gives when nothing comes, and when something does.

local lan = require "spec.support.lan"
local socket = require "socket"
local task = require "lariat.task"

lan.describe("a timeout", function(calm, any)
  any("of receive gives the part that came, in each pattern", function(net)
    local client, conn = net:pair()
    conn:send "part of a line"
    conn:flush()
    assert.equal("part of a line", client:peek(14))
    client:settimeout(0.01)
    assert.same({ nil, "timeout", "part of a line" }, { client:receive "*l" })
    conn:send "12345"
    conn:flush()
    client:settimeout(600)
    assert.equal("12345", client:peek(5))
    client:settimeout(0.01)
    assert.same({ nil, "timeout", "12345" }, { client:receive(10) })
    conn:send "everything"
    conn:flush()
    client:settimeout(600)
    assert.equal("everything", client:peek(10))
    client:settimeout(0.01)
    assert.same({ nil, "timeout", "everything" }, { client:receive "*a" })
    assert.same({ nil, "timeout", "" }, { client:receiveany() })
    assert.same({ nil, "timeout", "" }, { client:receiveuntil ";" })
    assert.same({ nil, "timeout", "prefix" }, { client:receive(9, "prefix") })
  end)

  any("leaves nothing behind: what comes later is read later", function(net)
    local client, conn = net:pair()
    client:settimeout(0.01)
    for _ = 1, 5 do assert.equal("timeout", (select(2, client:receive()))) end
    client:settimeout(nil)
    conn:send "late\n"
    assert.equal("late", client:receive())
  end)

  calm("of 0 looks once", function(net)
    local client, conn = net:pair()
    local server <close> = net:listen()
    server:settimeout(0)
    assert.same({ nil, "timeout" }, { server:accept() })
    client:settimeout(0)
    assert.same({ nil, "timeout", "" }, { client:receive() })
    conn:send "now\n"
    conn:flush()
    net:arrives(client)
    assert.equal("now", client:receive())
    local udp = net:udp()
    udp:settimeout(0)
    assert.same({ nil, "timeout" }, { udp:receivefrom() })
  end)

  any("ends accept", function(net)
    local server, port = net:listen()
    server:settimeout(0.01)
    assert.same({ nil, "timeout" }, { server:accept() })
    server:settimeout(nil)
    local client = assert(socket.connect(net.far, port))
    assert.is_truthy(server:accept())
    client:close()
  end)

  calm("ends receivefrom", function(net)
    local udp = net:udp()
    udp:settimeout(0.01)
    assert.same({ nil, "timeout" }, { udp:receivefrom() })
    assert.same({ nil, "timeout" }, { udp:receive() })
  end)

  calm("in total bounds a call that goes on making progress", function(net)
    local client, conn = net:pair()
    local dripping = task.spawn(function()
      repeat
        task.sleep(0.002)
        local sent = conn:send "." and conn:flush()
      until not sent
    end)
    client:settimeout(0.05, "t")
    local data, message, part = client:receive "*l"
    assert.same({ nil, "timeout" }, { data, message })
    assert.matches("^%.+$", part)
    client:setoption("linger", { on = true, timeout = 0 })
    client:close()
    dripping:join()
  end)

  calm("of blocks bounds each wait, not the call", function(net)
    local client, conn = net:pair()
    local dripping = task.spawn(function()
      for _ = 1, 20 do
        task.sleep(0.02)
        conn:send "."
        conn:flush()
      end
      conn:send "\n"
    end)
    client:settimeout(30, "b")
    assert.equal(("."):rep(20), client:receive())
    dripping:join()
  end)

  calm("is what gettimeout says", function(net)
    local client = net:pair()
    client:settimeout(3)
    client:settimeout(7, "t")
    assert.same({ 3, 7 }, { client:gettimeout() })
  end)
end)

lan.describe("select", function(calm, any)
  any("finds what can be read, written and accepted", function(net)
    local server, port = net:listen()
    assert.same({}, (socket.select({ server }, nil, 0)))
    local client = assert(socket.connect(net.far, port))
    assert.equal(server, socket.select({ server }, nil, 600)[1])
    local conn = assert(server:accept())
    assert.same({}, (socket.select({ server, client, conn }, nil, 0)))
    local readable, writable = socket.select({ client, conn }, { client, conn }, 600)
    assert.same({}, readable)
    assert.equal(2, #writable)
    conn:send "x"
    assert.equal(client, socket.select({ client, conn }, nil, 600)[1])
    assert.equal("x", client:receive(1))
    assert.same({}, (socket.select({ client, conn }, nil, 0)))
  end)

  any("finds an end readable", function(net)
    local client, conn = net:pair()
    conn:close()
    assert.equal(client, socket.select({ client }, nil, 600)[1])
    assert.same({ nil, "closed", "" }, { client:receive() })
    assert.equal(client, socket.select({ client }, nil, 0)[1])
  end)

  calm("finds a reset readable and writable", function(net)
    local client, conn = net:pair()
    conn:setoption("linger", { on = true, timeout = 0 })
    conn:close()
    assert.equal(client, socket.select({ client }, nil, 600)[1])
    local readable, writable = socket.select({ client }, { client }, 0)
    assert.same({ client, client }, { readable[1], writable[1] })
  end)

  calm("finds a datagram readable, and the socket always writable", function(net)
    local udp, port = net:udp()
    local sender = assert(socket.udp4())
    assert.same({}, (socket.select({ udp }, nil, 0)))
    assert.equal(udp, (select(2, socket.select(nil, { udp }, 0)))[1])
    sender:sendto("", net.far, port)
    assert.equal(udp, socket.select({ udp }, nil, 600)[1])
    assert.equal("", udp:receive())
    assert.same({}, (socket.select({ udp }, nil, 0)))
  end)

  any("gives nothing and says timeout when the time is up", function(net)
    local client = net:pair()
    local readable, writable, message = socket.select({ client }, nil, 0.01)
    assert.same({ {}, {}, "timeout" }, { readable, writable, message })
  end)

  calm("finds a connection that was refused writable", function(net)
    local port = net:free_port()
    local client = assert(socket.tcp4())
    client:settimeout(0)
    client:connect(net.far, port)
    local _, writable = socket.select(nil, { client }, 600)
    assert.equal(client, writable[1])
  end)
end)
