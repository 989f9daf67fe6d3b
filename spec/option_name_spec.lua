-- SPDX-License-Identifier: MIT
--
-- A misspelt option is told in the same words by every function that takes a table of them, and the
-- message names the nearest that there is.

local lariat = require "lariat"
local net = require "spec.support.net"
local of = require "spec.support.misuse".of
local sim = require "lariat.sim"
local socket = require "socket"
local task = require "lariat.task"
local test = require "lariat.test"

local function nothing() end

local function meant(option, nearest)
  return ("no such option '%s': did you mean '%s'?)"):format(option, nearest)
end

describe("a misspelt option names the nearest one", function()
  it("of connecting and serving", function()
    local server <close> = assert(socket.bind("127.0.0.1", 0))
    of(function() socket.connect("localhost", 1, { timeuot = 1 }) end, meant("timeuot", "timeout"))
    of(function() socket.connect("localhost", 1, { local_adress = "::" }) end,
      meant("local_adress", "local_address"))
    of(function() socket.connect("unix:/x", { timout = 1 }) end, meant("timout", "timeout"))
    of(function() server:serve(nothing, { limt = 1 }) end, meant("limt", "limit"))
    of(function() socket.serve("*", 0, nothing, { backlgo = 1 }) end, meant("backlgo", "backlog"))
    of(function() test.serve(nothing, { famliy = "inet" }) end, meant("famliy", "family"))
  end)

  it("of tasks and child processes", function()
    of(function() task.group(function(g) g:spawn({ nam = "x" }, nothing) end) end,
      meant("nam", "name"))
    of(function() local _ = task.spawn({ nmae = "x" }, nothing) end, meant("nmae", "name"))
    of(function() lariat.run { "true", stdotu = "null" } end, meant("stdotu", "stdout"))
    of(function() lariat.run { "true", clear_env = true } end, meant("clear_env", "clearenv"))
  end)

  it("of receiveuntil", function()
    local near = net.pair()
    of(function() local _ = near:receiveuntil(";", { inclusiv = true }) end,
      meant("inclusiv", "inclusive"))
    near:close()
  end)

  it("of simulations", function()
    of(function() sim.run({ los = 1 }, nothing) end, meant("los", "loss"))
    of(function() sim.try({ latncy = 1 }, nothing) end, meant("latncy", "latency"))
    of(function() sim.check(1, { max_evnets = 1 }, nothing) end, meant("max_evnets", "max_events"))
    of(function() sim.run({ without = { "reoder" } }, nothing) end,
      "option 'without': 'reoder' is none of loss, duplicate, reorder, delay, split, partition: "
      .. "did you mean 'reorder'?)")
    sim.run({ echo = false }, function(n)
      of(function() n:faults { los = 1 } end, meant("los", "loss"))
      of(function() n:host({ name = "h", stdni = "" }, nothing) end, meant("stdni", "stdin"))
    end)
  end)

  it("of sockets, in LuaSocket's words", function()
    local tcp <close> = socket.tcp()
    of(function() local _ = tcp:setoption("tcp-nodlay", true) end,
      "(unsupported option `tcp-nodlay': did you mean 'tcp-nodelay'?)")
    of(function() local _ = tcp:getoption "max-receive" end,
      "(unsupported option `max-receive': did you mean 'maxreceive'?)")
    of(function() local _ = tcp:setoption("nodelay", true) end,
      "(unsupported option `nodelay': did you mean 'tcp-nodelay'?)")
    of(function() local _ = tcp:getoption "timeout" end, "(unsupported option `timeout')") -- two
    of(function() local _ = tcp:getoption "broadcast" end, "(unsupported option `broadcast')")
  end)
end)

describe("an option that is near to none", function()
  it("is told without a guess", function()
    for _, name in ipairs { "colour", "x", "", ("timeout"):rep(1000) } do
      of(function() socket.connect("localhost", 1, { [name] = 1 }) end,
        ("(no such option '%s')"):format(name))
    end
    of(function() socket.connect("localhost", 1, { 5 }) end, "(no such option '1')")
  end)
end)
