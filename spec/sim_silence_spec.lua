-- SPDX-License-Identifier: MIT
--
-- What only a simulation can show of streams: peers that do not answer any more, or that come back
-- without remembering anything.

local sim = require "lariat.sim"
local socket = require "socket"
local task = require "lariat.task"

local CALM = { latency = 0.002, split = false }

-- A host that accepts on port 7 and reads nothing.
local function deaf()
  local server = assert(socket.bind("*", 7))
  local kept = {}
  while true do kept[#kept + 1] = assert(server:accept()) end
end

-- Runs scenario(net, peer) on a host of its own beside a deaf one.
local function beside_deaf(scenario)
  return sim.run(CALM, function(net)
    local peer = net:host("peer", deaf)
    net:client("client", function()
      task.sleep(0.001)
      scenario(net, peer)
    end)
  end)
end

describe("a peer in a simulation that says nothing", function()
  it("does not answer a connect, which gives up after two minutes", function()
    beside_deaf(function(net, peer)
      peer:crash()
      assert.same({ nil, "timeout" }, { socket.connect(peer.address, 7) })
      assert.is_true(net:time() > 60 and net:time() < 200)
    end)
  end)

  it("because nobody has its address does not answer either", function()
    beside_deaf(function()
      local client = assert(socket.tcp4())
      client:settimeout(3)
      assert.same({ nil, "timeout" }, { client:connect("10.0.99.99", 7) })
      client:settimeout(0)
      assert.same({ nil, "Operation already in progress" }, { client:connect("10.0.99.99", 7) })
    end)
  end)

  it("answers nothing of what is sent, which fails in the end", function()
    beside_deaf(function(_, peer)
      local client = assert(socket.connect("peer", 7))
      assert.equal(5, client:send "hello")
      client:flush()
      peer:crash()
      client:send "more"
      assert.same({ nil, "timeout", "" }, { client:receive() })
    end)
  end)

  it("fails a sender who waits for it to read", function()
    beside_deaf(function(_, peer)
      local client = assert(socket.connect("peer", 7))
      client:settimeout(1)
      assert.equal("timeout", (select(2, client:send(("x"):rep(1000000)))))
      client:settimeout(nil)
      peer:crash()
      local sent, message = client:send(("x"):rep(1000000))
      assert.same({ nil, "timeout" }, { sent, message })
    end)
  end)

  it("and comes back resets what it does not remember", function()
    beside_deaf(function(_, peer)
      local client = assert(socket.connect("peer", 7))
      client:settimeout(1)
      assert.equal("timeout", (select(2, client:send(("x"):rep(1000000)))))
      client:settimeout(nil)
      peer:restart()
      local sent, message = client:send(("x"):rep(1000000))
      assert.same({ nil, "closed" }, { sent, message })
      assert.is_truthy(socket.connect("peer", 7))
    end)
  end)

  -- Connects to a peer whose first packet of this kind is lost, while meanwhile(peer) happens.
  local function connect_without_first(kind, port, meanwhile)
    local lost = false
    local results
    beside_deaf(function(net, peer)
      net:rule(function(packet)
        if packet.kind ~= kind or lost then return end
        lost = true
        net:at(net:time() + 0.1, function() meanwhile(peer) end)
        return "drop"
      end)
      results = { socket.connect("peer", port) }
      net:rule(nil)
    end)
    assert.is_true(lost)
    return table.unpack(results)
  end

  it("because its answer to a connect was lost, says it again", function()
    assert.is_truthy(connect_without_first("synack", 7, function() end))
    assert.same({ nil, "connection refused" }, { connect_without_first("rst", 8, function() end) })
  end)

  it("because it crashed after an answer that was lost, answers when it is back", function()
    assert.is_truthy(connect_without_first("synack", 7, function(peer) peer:restart() end))
  end)

  it("because it crashed after an answer that was lost, is given up", function()
    assert.same({ nil, "timeout" },
      { connect_without_first("synack", 7, function(peer) peer:crash() end) })
  end)

  it("for a while, behind a partition, loses nothing", function()
    sim.run(CALM, function(net)
      net:host("peer", function()
        local server = assert(socket.bind("*", 7))
        local conn = assert(server:accept())
        conn:send((conn:receive()) .. " got through\n")
        task.sleep(1000)
      end)
      net:client("client", function()
        task.sleep(0.001)
        local client = assert(socket.connect("peer", 7))
        net:partition("client", "peer")
        client:send "it\n"
        task.sleep(100)
        net:heal()
        assert.equal("it got through", client:receive())
      end)
    end)
  end)
end)

describe("the path of a unix socket in a simulation", function()
  it("outlives a crash of its host, and is of that host only", function()
    local unix = require "socket.unix"
    local messages = {}
    local function bind_at_start()
      local server = assert(unix.stream())
      messages[#messages + 1] = select(2, server:bind "/run/service") or "bound"
      task.sleep(1000)
    end
    sim.run(CALM, function(net)
      net:host("one", bind_at_start)
      net:host("two", bind_at_start)
      task.sleep(1)
      net:restart "one"
      task.sleep(1)
    end)
    assert.same({ "bound", "bound", "address already in use" }, messages)
  end)
end)
