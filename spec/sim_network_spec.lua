-- SPDX-License-Identifier: MIT
--
-- What the body of a simulation does to its network, what a run comes to, and how it ends.

local net = require "spec.support.net"
local sim = require "lariat.sim"
local socket = require "socket"
local task = require "lariat.task"

local CALM = { seed = 1, latency = 0.001, split = false }

local function with(options)
  for name, value in pairs(CALM) do options[name] = value end
  return options
end

-- A server that answers each datagram with its sender's own words.
local function echo()
  local udp = socket.udp4()
  assert(udp:setsockname("*", 7000))
  for data, host, port in udp:datagrams() do udp:sendto(data, host, port) end
end

local function asking(host)
  local udp = socket.udp4()
  assert(udp:setpeername(host, 7000))
  udp:settimeout(1)
  return function(text)
    udp:send(text)
    return udp:receive()
  end
end

local function echoing_line(conn)
  for line in conn:lines "L" do conn:send(line) end
end

local function line_server() return assert(socket.serve("*", 7000, echoing_line)) end

local function count(trace, wanted)
  local n = 0
  for _, packet in ipairs(trace) do
    local same = true
    for field, value in pairs(wanted) do same = same and packet[field] == value end
    if same then n = n + 1 end
  end
  return n
end

describe("a simulated network", function()
  it("is cut and healed between two hosts, or around one", function()
    sim.run(CALM, function(network)
      network:host("a", echo)
      network:host("b", echo)
      local a, b = asking "a", asking "b"
      network:partition("a", "world")
      assert.same({ nil, "timeout" }, { a "1" })
      assert.equal("2", (b "2"))
      network:heal("a", "world")
      assert.equal("3", (a "3"))
      network:partition "b"
      assert.same({ nil, "timeout" }, { b "4" })
      assert.equal("5", (a "5"))
      network:heal()
      assert.equal("6", (b "6"))
      network:partition({ "a", "b" }, { "world" })
      assert.same({ nil, "timeout" }, { a "7" })
      assert.same({ nil, "timeout" }, { b "8" })
    end)
  end)

  it("delivers what it held, and loses what a partition swallowed", function()
    sim.run(CALM, function(network)
      network:host("a", echo)
      local ask = asking "a"
      network:hold("a", "world")
      assert.same({ nil, "timeout" }, { ask "held" })
      network:heal()
      assert.equal("held", (ask "more"))
    end)
  end)

  it("asks the rule about every packet", function()
    local seen = {}
    local result = sim.run(CALM, function(network)
      network:host("a", echo)
      local ask = asking "a"
      network:rule(function(packet)
        seen[#seen + 1] = packet.kind
        if packet.data == "gone" then return "drop" end
        if packet.data == "late" then return "delay", 2 end
        if packet.data == "slow" then return 0.25 end
        if packet.data == "twice" and packet.to == "a" then return "duplicate" end
        return "deliver"
      end)
      assert.same({ nil, "timeout" }, { ask "gone" })
      local before = task.now()
      assert.equal("slow", (ask "slow"))
      assert.near(0.502, task.now() - before, 1e-9)
      assert.same({ nil, "timeout" }, { ask "late" })
      network:rule(nil)
      assert.equal("more", (ask "more"))
    end)
    assert.equal("datagram", seen[1])
    assert.equal(1, count(result:trace(), { verdict = "ruled" }))
  end)

  it("lets a rule send, and replace itself", function()
    sim.run(CALM, function(network)
      network:host("a", echo)
      local ask, asked = asking "a", 0
      local other = socket.udp4()
      network:rule(function(packet)
        asked = asked + 1
        if packet.data ~= "go" then return end
        other:sendto("from the rule", "10.0.0.2", 7000)
        other:setoption("cork", false)
        network:rule(function() asked = asked + 100 end)
        collectgarbage()
      end)
      assert.equal("go", (ask "go"))
      assert.equal("from the rule", (other:receive()))
      assert.equal(1 + 300, asked)
    end)
  end)

  it("breaks a connection that the rule resets", function()
    sim.run(CALM, function(network)
      network:host("a", line_server)
      local conn <close> = assert(socket.connect("a", 7000))
      conn:send "well\n"
      assert.equal("well", (conn:receive()))
      network:rule(function(packet) return packet.kind == "data" and "reset" or nil end)
      conn:send "ill\n"
      assert.same({ nil, "closed", "" }, { conn:receive() })
    end)
  end)

  it("calls at the times it was told", function()
    local times = {}
    sim.run(CALM, function(network)
      for _, at in ipairs { 3, 1, 2, 0 } do
        network:at(at, function() times[#times + 1] = network:time() end)
      end
      socket.sleep(5)
      network:at(1, function() times[#times + 1] = network:time() end)
      task.yield()
    end)
    assert.same({ 0.0, 1.0, 2.0, 3.0, 5.0 }, times)
  end)

  it("changes its faults within a run", function()
    sim.run(CALM, function(network)
      network:host("a", echo)
      local ask = asking "a"
      assert.equal("1", (ask "1"))
      network:faults { loss = 1 }
      assert.same({ nil, "timeout" }, { ask "2" })
      network:faults { loss = 0, latency = 0.2 }
      local before = task.now()
      assert.equal("3", (ask "3"))
      assert.near(0.4, task.now() - before, 1e-9)
    end)
  end)

  it("crashes a host without a word, and starts it again", function()
    local closed = 0
    sim.run(CALM, function(network)
      local server = network:host("a", function()
        local note <close> = setmetatable({}, { __close = function() closed = closed + 1 end })
        line_server()
        return note
      end)
      local conn <close> = assert(socket.connect("a", 7000))
      server:crash()
      assert.is_false(server:running())
      conn:settimeout(1)
      assert.same({ nil, "timeout", "" }, { conn:receive() })
      server:restart()
      conn:send "anybody?\n"
      assert.same({ nil, "closed", "" }, { conn:receive() })
      local again <close> = assert(socket.connect("a", 7000))
      again:send "hello\n"
      assert.equal("hello", (again:receive()))
    end)
    assert.equal(0, closed)
  end)

  it("resolves its hosts' names, and says that others are not simulated", function()
    sim.run(CALM, function(network)
      local a = network:host("a", function() assert.equal("a", socket.dns.gethostname()) end)
      assert.equal(a.address, (socket.dns.toip "a"))
      assert.equal("a", (socket.dns.tohostname(a.address)))
      local found, message = socket.connect("example.org", 80)
      assert.is_nil(found)
      assert.matches("no host of this simulation", message)
    end)
  end)
end)

describe("virtual time", function()
  it("is what every clock says", function()
    sim.run(with { epoch = 1000000000 }, function(network)
      assert.equal(1000000000, os.time())
      assert.equal("2001-09-09", os.date "!%F")
      local wall, clock, now = socket.gettime(), os.clock(), task.now()
      socket.sleep(86400)
      assert.equal(86400.0, socket.gettime() - wall)
      assert.equal(86400.0, os.clock() - clock)
      assert.equal(86400.0, task.now() - now)
      assert.equal(86400.0, network:time())
      assert.equal("2001-09-10", os.date "!%F")
    end)
    assert.truthy(os.time() > 1700000000)
  end)

  it("moves for who looks at it without waiting", function()
    sim.run(CALM, function()
      local before = socket.gettime()
      repeat until socket.gettime() > before + 0.01
      local udp <close> = socket.udp4()
      udp:settimeout(0)
      udp:setsockname("*", 0)
      before = socket.gettime()
      repeat
        assert.is_nil((udp:receive()))
        task.yield()
      until socket.gettime() > before + 0.01
    end)
  end)

  it("lets a hundred clients send heartbeats for an hour", function()
    local beats = 0
    local result = sim.run({ seed = 1 }, function(network)
      network:host("server", line_server)
      for i = 1, 100 do
        network:client("client" .. i, function()
          local conn <close> = assert(socket.connect("server", 7000))
          for _ = 1, 60 do
            conn:send "beat\n"
            assert(conn:receive())
            beats = beats + 1
            socket.sleep(60)
          end
        end)
      end
    end)
    assert.equal(6000, beats)
    assert.truthy(result.time >= 3600 and result.time < 3700)
  end)
end)

describe("a run", function()
  local function fails(options, body, ...)
    local result = sim.try(options, body)
    assert.is_false(result.ok)
    for _, pattern in ipairs { ... } do assert.matches(pattern, result.error) end
    return result
  end

  it("fails by an error in any host, with seed, host, time and traceback", function()
    local function broken()
      socket.sleep(2)
      error "on purpose"
    end
    fails({ seed = 23 }, function(network)
      network:host("a", broken)
      socket.sleep(10)
    end, "seed 23: host 'a' failed after 2.000000 s", "on purpose", "traceback", "sim_network_spec")
    assert.has_error(function() sim.run(CALM, function() error("as it is", 0) end) end)
  end)

  it("that nothing can end is a deadlock, which says who waits where", function()
    fails(CALM, function(network)
      network:client("a", function() task.channel(0):receive() end)
    end, "deadlock", "task a .* waits in channel receive at .*sim_network_spec.lua:%d+")
  end)

  it("ends at max_time and at max_events", function()
    fails(with { max_time = 100 }, function()
      while true do socket.sleep(7) end
    end, "still running after 100 s %(max_time%)")
    fails(with { max_events = 5000 }, function()
      while true do task.yield() end
    end, "still running after 5000 events %(max_events%)")
  end)

  it("leaves the world outside as it was", function()
    local client, conn = net.pair()
    conn:send "before\n"
    local channel = task.channel(1)
    local waiting = task.spawn(function() return channel:receive() end)
    task.yield()
    sim.run(CALM, function(network)
      network:host("a", line_server)
      assert(socket.connect("a", 7000)):send "never read\n"
      channel:send "from inside"
      assert.has_error(function() client:receive(1000) end)
    end)
    assert.equal("from inside", (waiting:join()))
    assert.equal("before", (client:receive()))
    client:send "after\n"
    assert.equal("after", (conn:receive()))
    client:close()
    conn:close()
  end)

  it("is not one within another", function()
    local ok, message = pcall(sim.run, CALM, function() sim.run(CALM, print) end)
    assert.is_false(ok)
    assert.matches("a simulation is running already", message)
  end)

  it("records every packet, and draws them", function()
    local result = sim.run(CALM, function(network)
      network:host("server", line_server)
      local conn <close> = assert(socket.connect("server", 7000))
      conn:send "hello\n"
      assert.equal("hello", (conn:receive()))
      network:partition "server"
      conn:send "lost\n"
      socket.sleep(0.1)
    end)
    local trace = result:trace()
    assert.equal("syn", trace[1].kind)
    assert.same({ "world", "server", 7000, 0.001 },
      { trace[1].from, trace[1].to, trace[1].target, trace[1].time })
    assert.equal(1, count(trace, { kind = "data", verdict = "partitioned", size = 5 }))
    local text = result:ladder()
    assert.matches("\n +time +world +server\n", "\n" .. text)
    assert.matches("0%.001000 |%-+>| +syn", text)
    assert.matches("|%-+x +| +data, 5 B.*PARTITIONED", text)
    assert.equal(2 + 3, #result:lines(3))
  end)

  it("gives the same hash for the same seed, and another for another", function()
    local function hash(seed)
      return sim.run({ seed = seed, swarm = true }, function(network)
        network:host("server", line_server)
        network:client("client", function()
          local conn <close> = assert(socket.connect("server", 7000))
          for i = 1, 20 do
            conn:send(("x"):rep(i * 50) .. "\n")
            assert(conn:receive())
          end
        end)
      end).hash
    end
    assert.equal(hash(5), hash(5))
    assert.not_equal(hash(5), hash(6))
  end)

  it("may be left without limits", function()
    local result = sim.try({ max_events = math.huge, max_time = math.huge }, function()
      task.sleep(1e8)
    end)
    assert.same({ true, 1e8 }, { result.ok, result.time })
  end)

  it("is told what options it does not know, and values that make no sense", function()
    for text, options in pairs {
      ["no such option 'los': did you mean 'loss'?"] = { los = 1 },
      ["option 'loss': boolean or probability"] = { loss = 2 },
      ["option 'latency': {least, most}"] = { latency = { 2, 1 } },
      ["option 'seed': integer expected"] = { seed = "x" },
      ["option 'max_time': number expected, not negative"] = { max_time = -1 },
      ["option 'epoch': seconds since 1970"] = { epoch = math.huge },
      ["option 'without': 'rain' is none of loss"] = { without = { "rain" } },
    } do
      local ok, message = pcall(sim.run, options, print)
      assert.is_false(ok)
      assert.truthy(message:find(text, 1, true), message)
    end
  end)
end)
