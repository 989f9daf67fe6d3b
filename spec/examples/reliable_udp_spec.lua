-- SPDX-License-Identifier: MIT
--
-- The protocols of examples/reliable_udp.lua: for real over loopback, on simulated networks of many
-- seeds, and with bugs planted in them, which those networks must find.
--
--   make test SPEC=spec/examples/reliable_udp_spec.lua TESTFLAGS=--seeds=1000

local example = require "spec.support.example"
local sim = require "lariat.sim"
local simulation = require "spec.support.simulation"
local task = require "lariat.task"

local LOOPBACK = "127.0.0.1"
local PROTOCOLS = { "stop-and-wait", "sliding-window" }
local OPTIONS = { seeds = 100 // (tonumber(os.getenv "SCALE") or 1), swarm = true, echo = false }

-- Up to 60 KB: long runs of one byte would hide a piece that is missing or comes twice.
local function random_data()
  local words = {}
  for i = 1, math.random(0, 15000) do words[i] = ("%04x"):format(math.random(0, 0xFFFF)) end
  return table.concat(words)
end

-- A transfer between two hosts, with a partition of up to 3 s somewhere in its first second.
local function transfer(net, directory, protocol)
  local script, data = directory .. "/reliable_udp.lua", random_data()
  local receiver = net:client("receiver", script, "receive", "*", 7000, protocol)
  task.sleep(0.01) -- virtual: now it listens
  net:client({ name = "sender", stdin = data }, script, "send", "receiver", 7000, protocol)
  local cut = math.random()
  net:at(0.01 + cut, function() net:partition("sender", "receiver") end)
  net:at(0.01 + cut + 3 * math.random(), function() net:heal() end)
  receiver:wait()
  assert(receiver:output() == data, ("%d bytes sent, %d other bytes received"):format(
    #data, #receiver:output()))
end

describe("a reliable transfer over UDP", function()
  for _, sending in ipairs(PROTOCOLS) do
    for _, receiving in ipairs(PROTOCOLS) do
      it(("goes over loopback from %s to %s"):format(sending, receiving), function()
        local sent = random_data()
        local receiver = example.start("reliable_udp", "receive", LOOPBACK, 0, receiving)
        local child <close> = receiver.child
        local _, how, status = example.run_with_input(
          sent, "reliable_udp", "send", LOOPBACK, receiver.port, sending)
        assert.same({ "exit", 0 }, { how, status })
        assert.is_true(child.stdout:receive "*a" == sent)
        assert.same({ "exit", 0 }, { child:wait() })
      end)
    end
  end

  it("fails where nobody listens", function()
    local gone = example.start("reliable_udp", "receive", LOOPBACK, 0)
    gone:stop()
    local _, how, status = example.run_with_input(
      "lost", "reliable_udp", "send", LOOPBACK, gone.port)
    assert.same({ "exit", 1 }, { how, status })
  end)

  it("refuses bad arguments", function()
    assert.is_true(example.refuses("reliable_udp", "send", LOOPBACK))
    assert.is_true(example.refuses("reliable_udp", "send", LOOPBACK, 0))
    assert.is_true(example.refuses("reliable_udp", "fetch", LOOPBACK, 7000))
    assert.is_true(example.refuses("reliable_udp", "receive", LOOPBACK, 7000, "pigeon"))
  end)

  for _, protocol in ipairs(PROTOCOLS) do
    sim.it("loses nothing on any network: " .. protocol, OPTIONS,
      function(net) transfer(net, "examples", protocol) end)
  end
end)

-- What somebody could have written, and a test over loopback would not notice.
local BUGS = {
  {
    "a sender that takes an old ACK for the new one", "stop-and-wait", "stop_and_wait.lua",
    "until kind == wire.ACK and number == expected", "until kind == wire.ACK",
  },
  {
    "a receiver that takes what comes twice for something new", "stop-and-wait",
    "stop_and_wait.lua", "if number == expected then", "if number <= expected then",
  },
  {
    "a receiver that leaves when its last ACK may yet be lost", "stop-and-wait", "wire.lua",
    "    local kind = wire.receive(udp, transfer)\n    while", "    local kind = nil\n    while",
  },
  {
    "a bitmap that is off by one", "sliding-window", "sliding_window.lua",
    "if early[missing + 1 + i] then", "if early[missing + i] then",
  },
  {
    "a receiver that takes what came early for what is missing", "sliding-window",
    "sliding_window.lua", "early[number] = data end", "early[missing] = data end",
  },
}

describe("a bug in a reliable transfer is found by a seed, and again by the same:", function()
  for _, bug in ipairs(BUGS) do
    local name, protocol, file, right, wrong = table.unpack(bug)
    it(name, function()
      local directory, closer <close> = example.broken("reliable_udp/" .. file, right, wrong)
      assert(closer)
      simulation.finds(OPTIONS, function(net) return transfer(net, directory, protocol) end)
    end)
  end
end)
