-- SPDX-License-Identifier: MIT
--
-- Misuse of what is written in Lua: every function says what was wrong with which argument, at the
-- script's line. What is particular to a concept is in that concept's spec.

local lariat = require "lariat"
local net = require "spec.support.net"
local of = require "spec.support.misuse".of
local sim = require "lariat.sim"
local socket = require "socket"
local task = require "lariat.task"
local test = require "lariat.test"

local NAN = 0 / 0
local function nothing() end

-- For each: what is called, and what the message says.
local function check(cases)
  for i = 1, #cases, 2 do of(cases[i], cases[i + 1]) end
end

describe("misuse names the script's line and the argument", function()
  it("of socket.bind", function()
    check {
      function() socket.bind() end, "bad argument #1 to 'bind' (string expected, got nil)",
      function() socket.bind({}, 0) end, "bad argument #1 to 'bind' (string expected, got table)",
      function() socket.bind("*") end, "bad argument #2 to 'bind' (string expected, got nil)",
      function() socket.bind("*", nothing) end, "bad argument #2 to 'bind'",
      function() socket.bind("*", 0, {}) end, "bad argument #3 to 'bind' (number expected",
      function() socket.bind("*", 0, 1.5) end,
      "#3 to 'bind' (backlog expected: an integer, got 1.5",
      function() socket.bind("*", 0, 1 << 40) end, "bad argument #3 to 'bind' (backlog expected",
      function() socket.bind("unix:/nowhere", 80) end, "#2 to 'bind' (a unix socket has no port)",
      function() socket.bind("unix:/nowhere", nil, {}) end, "bad argument #3 to 'bind'",
    }
  end)

  it("of socket.connect", function()
    check {
      function() socket.connect() end,
      "bad argument #1 to 'connect' (string expected, got no value)",
      function() socket.connect("localhost") end, "bad argument #2 to 'connect'",
      function() socket.connect("localhost", 1, nothing) end, "bad argument #3 to 'connect'",
      function() socket.connect("localhost", 1, false) end, "bad argument #3 to 'connect'",
      function() socket.connect("localhost", 1, nil, {}) end, "bad argument #4 to 'connect'",
      function() socket.connect("localhost", 1, nil, nil, 5) end,
      "#5 to 'connect' (invalid option '5'",
      function() socket.connect4(nil, 1) end, "bad argument #1 to 'connect'",
      function() socket.connect6("localhost", {}) end, "bad argument #2 to 'connect'",
      function() socket.connect("localhost", 1, { timeuot = 1 }) end, "no such option 'timeuot'",
      function() socket.connect("localhost", 1, { timeout = "1" }) end,
      "bad argument #3 to 'connect' (option 'timeout': seconds expected, got string)",
      function() socket.connect("localhost", 1, { timeout = NAN }) end, "seconds expected, got",
      function() socket.connect("localhost", 1, { local_port = 1.5 }) end,
      "integer expected, got 1.5",
      function() socket.connect("localhost", 1, { family = "ipx" }) end,
      "option 'family': inet, inet6 or unspec expected, got 'ipx'",
      function() socket.connect "unix:" end, "#1 to 'connect' (path expected after 'unix:')",
      function() socket.bind "unix:" end, "#1 to 'bind' (path expected after 'unix:')",
      function() socket.connect("unix:/nowhere", 5) end,
      "bad argument #2 to 'connect' (table of options",
      function() socket.connect("unix:/nowhere", { family = "inet" }) end,
      "no such option 'family'",
      function() socket.connect("unix:/nowhere", nil, { timeout = 1 }) end,
      "bad argument #3 to 'connect'",
    }
  end)

  it("of server:serve", function()
    local server <close> = assert(socket.bind("127.0.0.1", 0))
    check {
      function() server:serve() end, "bad argument #1 to 'serve' (function expected, got nil)",
      function() server:serve(nothing, 5) end, "bad argument #2 to 'serve' (table of options",
      function() server:serve(nothing, { limit = NAN }) end, "option 'limit': positive number",
      function() server:serve(nothing, { timeout = NAN }) end, "option 'timeout': seconds",
      function() server:serve(nothing, { name = 5 }) end, "option 'name': string expected",
      function() server:serve(nothing, { ready = nothing }) end, "no such option 'ready'",
      function() server.serve(5, nothing) end, "calling 'serve' on bad self (server expected",
    }
  end)

  it("of waiting in tasks", function()
    local t = task.spawn(nothing)
    check {
      function() t:join(NAN) end, "seconds expected, got nan",
      function() t:join "soon" end, "number expected, got string",
      function() task.sleep(NAN) end, "seconds expected, got nan",
      function() task.sleep() end, "number expected, got no value",
      function() table.sort({ 1, 2 }, function() socket.connect("localhost", 1) end) end,
      "would have to wait, but Lua cannot suspend here",
    }
  end)

  it("of socket.serve", function()
    check {
      function() socket.serve(nil, 0, nothing) end, "bad argument #1 to 'serve'",
      function() socket.serve("localhost", nothing) end, "bad argument #2 to 'serve'",
      function() socket.serve("*", 0, 5) end,
      "bad argument #3 to 'serve' (function expected, got number)",
      function() socket.serve("*", 0, nothing, 5) end,
      "bad argument #4 to 'serve' (table of options",
      function() socket.serve("*", 0, nothing, { limt = 1 }) end, "no such option 'limt'",
      function() socket.serve("*", 0, nothing, { limit = 0 }) end,
      "option 'limit': positive number",
      function() socket.serve("*", 0, nothing, { limit = NAN }) end,
      "option 'limit': positive number",
      function() socket.serve("*", 0, nothing, { timeout = {} }) end, "option 'timeout': seconds",
      function() socket.serve("*", 0, nothing, { name = 5 }) end, "option 'name': string expected",
      function() socket.serve("*", 0, nothing, { backlog = 1.5 }) end, "option 'backlog': integer",
      function() socket.serve("*", 0, nothing, { ready = 5 }) end,
      "option 'ready': function expected",
      function() socket.serve("unix:/nowhere", nothing, 5) end, "bad argument #3 to 'serve'",
    }
  end)

  it("of socket.select", function()
    local master <close> = socket.tcp()
    check {
      function() socket.select({ master, 5 }, nil, 0) end,
      "bad argument #1 to 'select' (element 2: socket expected, got number)",
      function() socket.select(nil, { true }, 0) end, "bad argument #2 to 'select' (element 1:",
      function() socket.select({ nothing }, nil, 0) end, "socket expected, got function",
      function() socket.select({ { getfd = 5 } }, nil, 0) end,
      "element 1: its 'getfd' is no function",
      function() socket.select({ { dirty = {} } }, nil, 0) end,
      "element 1: its 'dirty' is no function",
      function() socket.select({}, nil, NAN) end, "bad argument #3 to 'select' (seconds expected",
    }
  end)

  it("of sinks and sources", function()
    local near, far = net.pair()
    local master <close> = socket.tcp()
    local sink = socket.sink("keep-open", near)
    check {
      function() socket.sink("keep-open") end,
      "bad argument to 'sink' (socket with a method 'send'",
      function() socket.sink("close-when-done", {}) end, "method 'send' expected, got table",
      function() socket.sink("keep", near) end, "unknown key (keep)",
      function() sink(true) end, "bad argument #1 to 'sink' (string expected, got boolean)",
      function() socket.sink(master) "x" end, "calling 'send' on bad self (tcp{client} expected)",
      function() socket.source("until-closed", 5) end, "method 'receive' expected, got number",
      function() socket.source("by-length", near) end,
      "bad argument #3 to 'source' (number expected",
      function() socket.source("by-length", near, 0.5) end, "number of bytes expected, got 0.5",
      function() socket.choose(5) end, "bad argument #1 to 'choose' (table expected, got number)",
    }
    near:close()
    far:close()
  end)

  it("of the other helpers of socket", function()
    local udp <close> = socket.udp()
    check {
      function() socket.newtry(5) end,
      "bad argument #1 to 'newtry' (function expected, got number)",
      function() socket.protect(5)() end, "attempt to call a number value",
      function() socket.relay(udp, udp) end,
      "bad argument #1 to 'relay' (stream expected, got udp{unconnected})",
      function() socket.relay() end, "bad argument #1 to 'relay' (stream expected, got nil)",
    }
  end)

  it("of tasks, groups, channels", function()
    local channel, semaphore, event = task.channel(1), task.semaphore(1), task.event()
    check {
      function() task.timeout(-1, nothing) end, "bad argument #1 to 'timeout'",
      function() task.timeout(1) end, "bad argument #2 to 'timeout' (function expected, got nil)",
      function() task.deadline(NAN, nothing) end, "bad argument #1 to 'deadline'",
      function() task.shield(1, 5) end, "bad argument #2 to 'shield'",
      function() task.wait(5) end, "bad argument #1 to 'wait' (table expected, got number)",
      function() task.wait({}, NAN) end, "bad argument #2 to 'wait'",
      function() task.wait({ {} }) end, "bad argument #1 to 'wait' (object 1 cannot be waited for)",
      function() task.wait({ 5 }) end, "bad argument #1 to 'wait' (element 1: socket expected",
      function() task.group(5) end, "bad argument #1 to 'group'",
      function() task.race(nothing, 5) end, "bad argument #2 to 'race'",
      function() task.all() end, "bad argument #1 to 'all' (function expected, got no value)",
      function() task.channel(-1) end, "bad argument #1 to 'channel'",
      function() channel.send(5) end, "calling 'send' on bad self (channel expected, got number)",
      function() channel.receive {} end,
      "calling 'receive' on bad self (channel expected, got table)",
      function() channel:send(nil) end, "bad argument #1 to 'send' (nil cannot be sent)",
      function() channel:send(1, NAN) end, "bad argument #2 to 'send'",
      function() channel:receive "1" end, "bad argument #1 to 'receive'",
      function() task.semaphore(0) end, "bad argument #1 to 'semaphore'",
      function() semaphore.with(nothing) end, "calling 'with' on bad self (semaphore expected",
      function() semaphore:with(5) end, "bad argument #1 to 'with' (function expected, got number)",
      function() semaphore:release() end, "released more often than acquired",
      function() event.set() end, "calling 'set' on bad self (event expected, got nil)",
      function() event:wait(-1) end, "bad argument #1 to 'wait'",
    }
    task.group(function(g)
      check {
        function() g.spawn(nothing) end,
        "calling 'spawn' on bad self (group expected, got function)",
        function() g:spawn(5) end, "bad argument #1 to 'spawn' (function expected, got number)",
        function() g:spawn({}, 5) end, "bad argument #2 to 'spawn' (function expected, got number)",
        function() g:spawn({ nam = "x" }, nothing) end, "no such option 'nam'",
        function() g:spawn({ name = 5 }, nothing) end, "option 'name': string expected",
      }
    end)
  end)

  it("of child processes", function()
    local child <close> = assert(lariat.run { "true" })
    check {
      function() lariat.run(5) end, "bad argument #1 to 'run' (table expected, got number)",
      function() lariat.run {} end, "name of a program expected",
      function() lariat.run { "true", stdni = "pipe" } end,
      "bad argument #1 to 'run' (no such option 'stdni': did you mean 'stdin'?)",
      function() lariat.run { "true", clearenv = 1 } end, "bad field 'clearenv' of 'run' (boolean",
      function() child.wait(5) end, "calling 'wait' on bad self (process expected, got number)",
      function() child:wait(NAN) end, "bad argument #1 to 'wait' (seconds expected, got nan)",
      function() child:kill(9) end, "bad argument #1 to 'kill' (string expected, got number)",
      function() child:kill "TREM" end, "bad argument #1 to 'kill' (unknown signal 'TREM')",
      function() child:kill "TERM\0" end, "unknown signal",
      function() lariat.signal "TREM" end, "bad argument #1 to 'signal' (unknown signal 'TREM')",
    }
  end)

  it("of lariat.test", function()
    check {
      function() test.pair "ipx" end,
      "bad argument #1 to 'pair' ('inet', 'inet6' or 'unix' expected",
      function() test.pair(false) end, "bad argument #1 to 'pair'",
      function() test.serve() end, "bad argument #1 to 'serve' (function expected, got nil)",
      function() test.serve(nothing, 5) end, "bad argument #2 to 'serve'",
      function() test.serve(nothing, { family = "ipx" }) end, "bad argument #2 to 'serve'",
      function() test.serve(nothing, { limt = 1 }) end, "no such option 'limt'",
      function() test.eventually(5) end, "bad argument #1 to 'eventually' (function expected",
      function() test.eventually(nothing, NAN) end, "bad argument #2 to 'eventually'",
    }
  end)

  it("of simulations", function()
    check {
      function() sim.run(5, nothing) end, "bad argument #1 to 'run' (table of options expected",
      function() sim.try({}, 5) end, "bad argument #2 to 'try' (function expected, got number)",
      function() sim.run({ lost = 1 }, nothing) end, "no such option 'lost': did you mean 'loss'?",
      function() sim.run({ seeds = "x" }, nothing) end, "option 'seeds': a positive integer",
      function() sim.run({ timeout = {} }, nothing) end, "option 'timeout': seconds expected",
      function() sim.run({ without = { los = 1 } }, nothing) end, "list of fault families expected",
      function() sim.run({ latency = { 1, 2, 3 } }, nothing) end,
      "{least, most} in seconds expected",
      function() sim.check(1.5, {}, nothing) end, "bad argument #1 to 'check'",
      function() sim.check(1, 5, nothing) end, "bad argument #2 to 'check'",
      function() sim.check(1, {}, 5) end, "bad argument #3 to 'check'",
      function() sim.check(1, { lost = 1 }, nothing) end,
      "bad argument #2 to 'check' (no such option 'lost'",
    }
    local result = sim.run({ echo = false }, function(n)
      n:host("a", nothing)
      local b = n:host("b", nothing)
      check {
        function() n:host({ name = "c", status = 1.5 }, nothing) end, "status: integer expected",
        function() n.host("c", nothing) end, "calling 'host' on bad self (network expected",
        function() n.time() end, "calling 'time' on bad self (network expected, got nil)",
        function() b.output() end, "calling 'output' on bad self (host expected, got nil)",
        function() n:partition("a", "a") end, "#2 to 'partition' (host 'a' is on both sides)",
        function() n:hold({ "a", "b" }, { b }) end, "#2 to 'hold' (host 'b' is on both sides)",
        function() n:heal("a", "nobody") end, "#2 to 'heal' (there is no host 'nobody')",
        function() n:partition({ "a", from = "b" }) end,
        "list of hosts expected: it has a field 'from'",
        function() n:faults { seed = 5 } end,
        "bad argument #1 to 'faults' (option 'seed' cannot be changed while the simulation runs)",
        function() n:faults { max_time = 5 } end, "option 'max_time' cannot be changed",
        function() n:faults { lost = 5 } end, "no such option 'lost': did you mean 'loss'?",
        function() n:at(NAN, nothing) end, "bad argument #1 to 'at'",
      }
    end)
    check {
      function() result.trace() end, "calling 'trace' on bad self",
      function() result:lines "x" end, "bad argument #1 to 'lines' (number of packets expected",
    }
  end)

  it("of a method that another class has", function()
    local master <close> = socket.tcp()
    of(function() master:serve(nothing) end, "calling 'serve' on bad self (tcp{server} expected)")
    of(function() master:send "x" end, "calling 'send' on bad self (tcp{client} expected)")
  end)
end)
