-- SPDX-License-Identifier: MIT
--
-- Hosts of a simulation: what scripts and functions are given, how their programs end, and what
-- somebody is told who asks for what makes no sense.

local lariat = require "lariat"
local program = require "spec.support.program"
local sim = require "lariat.sim"
local socket = require "socket"
local task = require "lariat.task"

local function try(body)
  return sim.try({ echo = false }, body)
end

-- Runs body(net), which must fail, and returns why.
local function failure(body)
  local result = try(body)
  assert.is_false(result.ok)
  return result.error
end

local function run_script(text, settings, ...)
  local script <close> = program.file(text)
  local arguments, host = table.pack(...), nil
  settings.name = "h"
  local result = try(function(net)
    host = net:host(settings, script.path, table.unpack(arguments, 1, arguments.n))
    host.ended = { host:wait() }
    host.printed, host.said = host:output(), host:errors()
  end)
  return result, host
end

describe("a host that runs a script", function()
  it("gets its arguments as strings, as from a command line", function()
    local result, host = run_script("print(math.type(arg[1]), arg[1], ...)", {}, 7, "x")
    assert.is_true(result.ok, result.error)
    assert.equal("nil\t7\t7\tx\n", host.printed)
  end)

  it("has what it prints told apart from what it says on its standard error", function()
    local _, host = run_script("print 'out' io.stderr:write 'err' io.write 'more'", {})
    assert.same({ "out\nmore", "err" }, { host.printed, host.said })
  end)

  it("reads the standard input that it was given", function()
    local _, host = run_script("for line in io.lines() do print(line:upper()) end",
      { stdin = "a\nb\n" })
    assert.equal("A\nB\n", host.printed)
  end)

  it("cannot start programs, which it is told as a failure", function()
    local result, host = run_script("print(require 'lariat'.run { 'true' })", {})
    assert.is_true(result.ok, result.error)
    assert.equal("nil\tlariat.run is not simulated: a host runs no other programs\n", host.printed)
  end)

  it("may exit with the status that is foreseen", function()
    local result, host = run_script("os.exit(3)", { status = 3 })
    assert.is_true(result.ok, result.error)
    assert.same({ "exit", 3 }, host.ended)
  end)

  it("fails the run with its last words if it exits with another status", function()
    local text = "io.stderr:write 'so\\nit is\\n' os.exit(3)"
    assert.matches("^seed 1: host 'h' ended with status 3 after .*: it is$",
      (run_script(text, {})).error)
    assert.matches("status 3", (run_script(text, { status = 4 })).error)
    assert.matches("status 0", (run_script("", { status = 4 })).error)
  end)
end)

describe("a host", function()
  it("that crashes while somebody waits for its end has crashed", function()
    local result = try(function(net)
      local host = net:host("h", function() task.sleep(10) end)
      net:at(1, function() host:crash() end)
      assert.same({ "crash" }, { host:wait() })
      assert.equal(1, net:time())
    end)
    assert.is_true(result.ok, result.error)
  end)

  it("that two tasks start again at once runs one after the other", function()
    local script <close> = program.file "print 'begins' require 'socket'.sleep(3) print 'ends'"
    local host
    local result = try(function(net)
      host = net:host("h", script.path)
      for _ = 1, 2 do net:at(1, function() host:restart() end) end
      task.sleep(10)
      host.printed = host:output()
    end)
    assert.is_true(result.ok, result.error)
    assert.equal("begins\nbegins\nbegins\nends\n", host.printed)
  end)

  it("that is started again is waited for although it was the last client", function()
    local starts = 0
    local result = try(function(net)
      local client = net:client("c", function() starts = starts + 1 task.sleep(10) end)
      net:at(1, function() client:restart() end)
    end)
    assert.is_true(result.ok, result.error)
    assert.same({ 2, 11.0 }, { starts, result.time })
  end)

  it("may start itself again, from where it will not go on", function()
    local starts, after = 0, false
    local result = try(function(net)
      net:client("c", function()
        starts = starts + 1
        task.sleep(1)
        if starts == 3 then return end
        net:restart "c"
        after = true
      end)
    end)
    assert.is_true(result.ok, result.error)
    assert.same({ 3, false, 3.0 }, { starts, after, result.time })
  end)

  it("has crashed for those who wait for its end, also if it is up again by then", function()
    local result = try(function(net)
      local host = net:host("h", task.sleep, 10)
      net:at(1, function() host:restart() end)
      assert.same({ "crash" }, { host:wait() })
      assert.same({ "exit", 0 }, { host:wait() })
    end)
    assert.is_true(result.ok, result.error)
    assert.equal(11, result.time)
  end)

  it("that runs a function cannot read the standard input of the program", function()
    local stdin = io.stdin
    local why = failure(function(net) net:client("h", function() io.stdin:lines() end) end)
    assert.matches("sim_host_spec.lua:%d+: io.stdin:lines is not simulated", why)
    assert.equal(stdin, io.stdin)
  end)

  it("that runs a function has no standard streams, and the program keeps its own", function()
    local before = rawget(lariat, "stdin")
    lariat.stdin = nil
    local why = failure(function(net)
      net:client("h", function() return lariat.stdin:receive() end)
    end)
    assert.matches("sim_host_spec.lua:%d+: lariat.stdin is not simulated", why)
    assert.is_nil(rawget(lariat, "stdin"))
    lariat.stdin = before
  end)
end)

describe("the world", function()
  it("cannot crash, nor be started again", function()
    assert.matches("sim_host_spec.lua:%d+: the world cannot crash",
      failure(function(net) net:crash "world" end))
    assert.matches("sim_host_spec.lua:%d+: the world cannot be started again",
      failure(function(net) net:restart "world" end))
  end)

  it("goes on with its network and its chance after a run inside of it was refused", function()
    local function draw(inner)
      local drawn
      local result = try(function(net)
        if inner then
          assert.has_error(function() sim.run({}, print) end, "a simulation is running already")
        end
        assert.equal(net, sim.network())
        drawn = math.random()
      end)
      assert.is_true(result.ok, result.error)
      return drawn
    end
    assert.equal(draw(false), draw(true))
  end)

  it("fails the run if it exits with a status", function()
    assert.matches("host 'world' ended with status 3", failure(function() os.exit(3) end))
  end)
end)

describe("a rule", function()
  local function chatter(to)
    local udp <close> = socket.udp()
    for i = 1, 3 do
      udp:sendto("message " .. i, to, 9)
      task.sleep(1)
    end
  end

  it("may look into every packet, also one that carries nothing", function()
    local seen = {}
    local result = try(function(net)
      local server = net:host("server", function() task.sleep(10) end)
      net:rule(function(packet) seen[#seen + 1] = packet.data end)
      net:client("c", function() assert(not socket.connect(server.address, 9)) end)
    end)
    assert.is_true(result.ok, result.error)
    assert.same({ "", "" }, seen) -- "syn", and "rst"
  end)

  it("may start a host while a packet leaves outside of any task", function()
    local starts = 0
    local result = try(function(net)
      local host = net:host("h", function() starts = starts + 1 task.sleep(100) end)
      net:rule(function(packet)
        if packet.kind ~= "datagram" then return end
        net:at(net:time(), function() host:restart() end)
      end)
      net:client("c", chatter, host.address)
    end)
    assert.is_true(result.ok, result.error)
    assert.equal(4, starts)
  end)
end)

-- What is asked of the network, and what it answers, at the line that asked.
local MISUSES = {
  { "a host without a name", function(net) net:host({}, print) end, "'host' %(name expected%)" },
  { "a name with a space", function(net) net:host("a b", print) end,
    "#1 to 'host' %('a b' is no name of a host%)" },
  { "a name that is an address", function(net) net:host("10.0.0.1", print) end, "is no name" },
  { "a second host of one name", function(net) net:client("world", print) end,
    "#1 to 'client' %(there is a host 'world' already%)" },
  { "a misspelt setting", function(net) net:host({ name = "a", stdn = "" }, print) end,
    "no such option 'stdn': did you mean 'stdin'?" },
  { "a setting of a wrong type", function(net) net:host({ name = "a", echo = 1 }, print) end,
    "echo: boolean expected, got number" },
  { "standard input for a function", function(net) net:host({ name = "a", stdin = "" }, print) end,
    "only a script has a standard input" },
  { "neither script nor function", function(net) net:host("a", 5) end,
    "#2 to 'host' %(script or function expected, got number%)" },
  { "a table as a script's argument", function(net) net:host("a", "a.lua", 1, {}) end,
    "#4 to 'host' %(string expected for a script, got table%)" },
  { "a partition of nobody", function(net) net:partition("a") end,
    "#1 to 'partition' %(there is no host 'a'%)" },
  { "healing nobody in a list", function(net) net:heal("world", { "a" }) end,
    "#2 to 'heal' %(there is no host 'a'%)" },
  { "a moment that is none", function(net) net:at("soon", print) end, "#1 to 'at'" },
  { "a rule that is none", function(net) net:rule "drop" end, "#1 to 'rule'" },
}

describe("a network refuses", function()
  for _, misuse in ipairs(MISUSES) do
    local name, body, expected = table.unpack(misuse)
    it(name, function()
      local why = failure(body)
      assert.matches(expected, why)
      assert.matches("sim_host_spec.lua:%d+: bad argument", why)
    end)
  end

  it("a host of another run", function()
    local other
    try(function(net) other = net:host("a", print) end)
    assert.matches("there is no host 'host: a", failure(function(net) net:crash(other) end))
  end)
end)
