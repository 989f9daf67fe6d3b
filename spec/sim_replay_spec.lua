-- SPDX-License-Identifier: MIT
--
-- Exact replay: one seed gives one trace of packets, in every process, in the whole suite and
-- alone, though its hosts walk over tables whose keys are objects.

local run = require "spec.support.program"
local sim = require "lariat.sim"
local lariat = require "lariat"

local SCALE = tonumber(os.getenv "SCALE") or 1

-- Clients that send in the order of `pairs`, make garbage of all kinds, and draw numbers; the last
-- one fails as soon as an answer is late.
local WORLD = [[
  local socket = require "socket"

  local function serve(conn)
    for line in conn:lines() do conn:send(line .. "\n") end
  end

  local function ask(conn, size)
    conn:settimeout(PATIENCE)
    conn:send(("x"):rep(size) .. "\n")
    if conn:receive() == nil then error "too late" end
  end

  local function client()
    require "lariat.task".yield()
    local conn, keys, garbage = assert(socket.connect("server", 7000)), {}, {}
    for i = 1, 30 do
      keys[{}], keys[function() return i end], keys[coroutine.create(print)] = i, i, i
      keys["key " .. i] = i
    end
    for key, size in pairs(keys) do
      ask(conn, size + #tostring(key):sub(-2) + math.random(9))
      for i = 1, 30 do garbage[size] = { tostring(i), ("y"):rep(300) } end
    end
    conn:close()
  end

  local function world(net)
    net:host("server", function() socket.serve("*", 7000, serve) end)
    for i = 1, 3 do net:client("client" .. i, client) end
  end
]]

local LARIAT_SIM = "local sim = require 'lariat.sim' "

local function output(arguments)
  local out, err, status = run.lariat(arguments)
  assert.equal("", err)
  return out, status
end

local function trace_of(text)
  return text:match "\ntrace:  (%x+)" or error("no trace in " .. text)
end

describe("one seed", function()
  it("gives one trace in many processes", function()
    local script <close> = run.file(LARIAT_SIM .. "local PATIENCE = 10" .. WORLD .. [[
      for _, seed in ipairs(arg) do
        print(sim.run({ seed = tonumber(seed), loss = 0.1, delay = 0.01 }, world).hash)
      end
    ]])
    local one, two, again = output({ script.path, 1, 2, 1 }):match "^(%x+)\n(%x+)\n(%x+)\n$"
    assert.equal(one, again)
    assert.not_equal(one, two)
    for _ = 1, math.max(100 // SCALE, 3) do
      assert.equal(one .. "\n", (output { script.path, 1 }))
    end
  end)

  it("fails alone as in its file, with other tests taken away, and by its command", function()
    local head = "local sim = { it = require 'lariat.sim.it' } local PATIENCE = 0.2" .. WORLD
    local failing = [[
      sim.it("is late", { seeds = 50, loss = 0.05, delay = 0.05, duplicate = true }, world)
    ]]
    local others = [[
      local kept = {}
      setup(function() for i = 1, 5000 do kept[i] = { tostring(i) } end end)
      it("comes before", function() for i = 1, 5000 do kept[i] = { kept } end end)
      sim.it("is no matter", { seeds = 5, swarm = false }, function() require "socket".sleep(1) end)
      it("comes between", function() end)
    ]]
    local whole <close> = run.file(head .. others .. failing, "_spec.lua")
    local alone <close> = run.file(head .. failing, "_spec.lua")
    local told = output { "--test", whole.path }
    local seed, hash = told:match "seed %d+", trace_of(told)
    assert.matches("faults: [%w, ]+; not needed: ", told)
    for _, arguments in ipairs {
      { "--test", whole.path },
      { "--test", "--filter=is late", whole.path },
      { "--test", alone.path },
    } do
      local again, status = output(arguments)
      assert.same({ seed, hash, 1 }, { again:match "seed %d+", trace_of(again), status })
    end
    local command = told:match "\nagain:  ([^\n]+)"
    local child <close> = lariat.run { "sh", "-c", command }
    local again = child.stdout:receive "*a"
    assert.same({ seed, hash }, { again:match "seed %d+", trace_of(again) })
    assert.matches("\n +time +server +client1 ", again)
  end)
end)

describe("sim.check", function()
  it("finds nothing where all that happens comes from the seed", function()
    local script <close> = run.file(LARIAT_SIM .. "local PATIENCE = 10" .. WORLD .. [[
      print(require "lariat.sim.check"(7, { loss = 0.1, split = true }, world))
    ]])
    assert.equal("true\n", (output { script.path }))
  end)

  it("shows the first packet that depends on something else", function()
    local script <close> = run.file([[
      local socket = require "socket"
      local function world(net)
        net:host("listener", function()
          local udp = socket.udp()
          udp:setsockname("*", 9)
          for _ in udp:datagrams() do end
        end)
        net:client("talker", function()
          local udp = socket.udp()
          local process = io.open "/proc/self/stat":read "n"
          for i = 1, 5 do
            udp:sendto(("x"):rep(i == 3 and 100 + process % 50 or i), "listener", 9)
          end
        end)
      end
      print(require "lariat.sim.check"(7, {}, world))
    ]])
    local out = output { script.path }
    assert.matches("^nil\tseed 7: two runs differ: trace %x+ and trace %x+\nthe one:\n", out)
    assert.matches("\n> [^\n]* 1%d%d B", out)
    assert.equal(2, select(2, out:gsub("\n> [^\n]* 1%d%d B", "")))
  end)
end)

sim.it = require "lariat.sim.it"

describe("a run that hangs or fails", function()
  it("takes only its own seed with it", function()
    local spec <close> = run.file([[
      local sim = { it = require "lariat.sim.it" }
      sim.it("hangs", { seeds = 9, timeout = 0.5 }, function(net)
        net:client("slow", function()
          while math.random(3) == 1 do end
          if math.random(4) == 1 then while true do end end
        end)
      end)
    ]], "_spec.lua")
    local out, status = output { "--test", spec.path }
    assert.matches("seed %d: did not end within 0.5 s\n", out)
    assert.equal(1, status)
  end)

  sim.it("passes otherwise", { seeds = math.max(50 // SCALE, 3) }, function(net)
    local socket = require "socket"
    net:client("clock", function()
      local before = os.time()
      socket.sleep(3600)
      assert.equal(3600, os.time() - before)
      assert.near(os.clock(), socket.gettime() - 946684800, 10)
    end)
  end)
end)

describe("a run without one family of faults", function()
  local FAULTS = { loss = 0.1, duplicate = 0.1, reorder = 0.1, delay = 0.05, partition = 0.2 }

  local function packets(without)
    local options = { seed = 3, without = without, echo = false }
    for family, strength in pairs(FAULTS) do options[family] = strength end
    local result = sim.try(options, function(network)
      local socket = require "socket"
      network:host("server", function()
        local udp = socket.udp4()
        udp:setsockname("*", 7)
        for data, host, port in udp:datagrams() do udp:sendto(data, host, port) end
      end)
      network:client("client", function()
        local udp <close> = socket.udp4()
        udp:settimeout(0.05)
        for i = 1, 200 do
          udp:sendto("packet " .. i, "server", 7)
          udp:receive()
        end
      end)
    end)
    return result:trace()
  end

  local TOUCHED = {
    loss = function(packet) return packet.verdict == "lost" end,
    duplicate = function(packet) return packet.duplicate end,
    partition = function(packet) return packet.verdict == "partitioned" end,
    delay = function(packet) return packet.arrival - packet.time > 0.1 end,
    reorder = function(packet) return packet.arrival - packet.time > 0.005 end,
  }

  for family, touched in pairs(TOUCHED) do
    it("is the same up to the first packet that its " .. family .. " touched", function()
      local with, without, i = packets {}, packets { family }, 1
      while with[i] and pcall(assert.same, with[i], without[i]) do i = i + 1 end
      assert.is_true(i > 1 and touched(with[i]))
    end)
  end
end)
