-- SPDX-License-Identifier: MIT
--
-- What libraries do with coroutines and require: modules that connect while they load, generators
-- that do I/O deep inside, waits that are closed away, and the places where Lua cannot suspend.

local net = require "spec.support.net"
local peers = require "spec.support.peers"
local socket = require "socket"
local task = require "lariat.task"

-- A module of this text, there for one test.
local function module(name, text)
  package.preload[name] = assert(load(text, "=" .. name))
  finally(function()
    package.preload[name] = nil
    package.loaded[name] = nil
  end)
end

-- Calls f in a coroutine of its own in a task of its own; that coroutine and that task.
local function waiting_coroutine(f)
  local co = coroutine.create(f)
  local resumer = task.spawn(coroutine.resume, co)
  task.yield()
  assert.equal("normal", coroutine.status(co))
  return co, resumer
end

describe("the debug library", function()
  it("shows what the runtime has on a waiting coroutine's stack, and sets none of it", function()
    local co, resumer = waiting_coroutine(function() task.sleep(3600) end)
    local seen = 0
    for level = 0, 1 do
      for i = 1, 100 do
        local name, value = debug.getlocal(co, level, i)
        if not name then break end
        if debug.getinfo(co, level, "S").what == "C" then
          seen = seen + 1
          assert.is_nil(debug.setlocal(co, level, i, io.stdout))
          assert.equal(value, select(2, debug.getlocal(co, level, i)))
        end
      end
    end
    assert.is_true(seen > 0)
    assert.is_true(coroutine.close(co))
    resumer:join()
  end)

  it("sets no upvalue of a C function", function()
    local near, far = net.pair()
    local lines, wrapped = near:lines(), coroutine.wrap(function() return "value" end)
    assert.same({ n = 0 }, table.pack(debug.setupvalue(lines, 1, nil)))
    assert.same({ n = 0 }, table.pack(debug.setupvalue(wrapped, 1, nil)))
    far:send "line\n"
    assert.same({ "line", "value" }, { lines(), wrapped() })
    near:close()
    far:close()
  end)

  it("sets no user value of the runtime's objects", function()
    local child = task.spawn(task.yield)
    assert.is_nil(debug.setuservalue(child, nil, 1))
    assert.equal("thread", type((debug.getuservalue(child, 1))))
    child:join()
  end)

  it("sets variables and upvalues of Lua functions as ever", function()
    local variable, upvalue = 1, 1
    local function f() return upvalue end
    assert.equal("variable", debug.setlocal(1, 1, 2))
    assert.equal("upvalue", debug.setupvalue(f, 1, 3))
    assert.same({ 2, 3 }, { variable, f() })
    local co = coroutine.create(function(a) coroutine.yield() return a end)
    coroutine.resume(co, 1)
    assert.equal("a", debug.setlocal(co, 1, 1, 4))
    assert.same({ true, 4 }, { coroutine.resume(co) })
    assert.has_error(function() debug.setlocal(100, 1, 1) end,
      "bad argument #1 to 'setlocal' (level out of range)")
  end)
end)

describe("require of a module that does I/O while it loads", function()
  local port, closer, asked

  before_each(function()
    asked = 0
    port, closer = net.server(function(conn)
      asked = asked + 1
      conn:send(conn:receive() .. "\n")
    end)
  end)

  after_each(function() closer() end)

  local FETCH = [[
    local socket = require "socket"
    local conn <close> = assert(socket.connect("127.0.0.1", %d))
    conn:send "configuration\n"
    local answer = assert(conn:receive())
    %s
    return { name = ..., answer = answer }
  ]]

  it("gives the module, and the loader's data", function()
    module("spec.fetch", FETCH:format(port, ""))
    local fetched, data = require "spec.fetch"
    assert.same({ name = "spec.fetch", answer = "configuration" }, fetched)
    assert.equal(":preload:", data)
    assert.equal(fetched, require "spec.fetch")
  end)

  it("by ten tasks at once loads it once, and gives all the same", function()
    module("spec.fetch", FETCH:format(port, ""))
    local modules = peers.together(10, function() return (require "spec.fetch") end)
    assert.equal(1, asked)
    for i = 1, 10 do assert.equal(modules[1], modules[i]) end
  end)

  it("lets a ticker beat meanwhile", function()
    local ticker <close> = peers.ticker()
    _G.spec_ticker = ticker
    finally(function() _G.spec_ticker = nil end)
    module("spec.slow", "spec_ticker:await(10) return spec_ticker.beats")
    assert.is_true(require "spec.slow" >= 10)
  end)

  it("that fails registers nothing: each of two tasks gets the error, a third may succeed",
    function()
      module("spec.fetch", FETCH:format(port, 'error("no " .. answer, 0)'))
      local outcomes = peers.together(2, function() return { pcall(require, "spec.fetch") } end)
      assert.same({ { false, "no configuration" }, { false, "no configuration" } }, outcomes)
      assert.is_nil(package.loaded["spec.fetch"])
      assert.equal(2, asked)
      module("spec.fetch", "return 'now it does'")
      assert.equal("now it does", require "spec.fetch")
    end)

  it("in a task that is cancelled leaves it to be loaded by another", function()
    module("spec.stuck", [[
      if not spec_stuck then
        spec_stuck = true
        require "socket".sleep(1000)
      end
      return "loaded"
    ]])
    finally(function() _G.spec_stuck = nil end)
    local first = task.spawn(require, "spec.stuck")
    task.yield()
    local second = task.spawn(require, "spec.stuck")
    task.yield()
    first:cancel()
    assert.same({ nil, "cancelled" }, { first:join() })
    assert.equal("loaded", (second:join()))
  end)

  it("inside a generator suspends its task only", function()
    module("spec.fetch", FETCH:format(port, ""))
    local get = coroutine.wrap(function() coroutine.yield((require "spec.fetch")) end)
    assert.equal("configuration", get().answer)
  end)

  it("of two modules that require each other ends as in Lua, not in a wait for itself", function()
    module("spec.a", "require 'socket'.sleep(0) return { b = require 'spec.b' }")
    module("spec.b", "return { a = package.loaded['spec.a'] or 'not yet' }")
    assert.equal("not yet", require "spec.a".b.a)
  end)
end)

describe("a generator that does I/O", function()
  it("three deep gives each line in order, while others work", function()
    local client, server = net.pair()
    local ticker <close> = peers.ticker()
    local feeder = task.spawn(function()
      for i = 1, 10 do
        server:send(i .. "\n")
        ticker:await(1)
      end
      server:close()
    end)
    local function lines()
      return coroutine.wrap(function()
        for line in client:lines() do coroutine.yield(tonumber(line)) end
      end)
    end
    local function doubled()
      return coroutine.wrap(function() for n in lines() do coroutine.yield(2 * n) end end)
    end
    local function pairs_of()
      return coroutine.wrap(function()
        local before
        for n in doubled() do
          if before then coroutine.yield(before .. "," .. n) end
          before = not before and n or nil
        end
      end)
    end
    local all = {}
    for pair in pairs_of() do all[#all + 1] = pair end
    assert.equal("2,4 6,8 10,12 14,16 18,20", table.concat(all, " "))
    feeder:join()
    client:close()
  end)

  it("meets its task's cancellation again at each wait that it swallows it at", function()
    local swallowed = 0
    local stubborn = task.spawn(function()
      local try = coroutine.wrap(function()
        while swallowed < 3 do
          if not pcall(socket.sleep, 1000) then swallowed = swallowed + 1 end
        end
        coroutine.yield "gave up"
      end)
      assert(try() == "gave up")
      socket.sleep(1000)
    end)
    task.yield()
    stubborn:cancel()
    assert.same({ nil, "cancelled" }, { stubborn:join() })
    assert.equal(3, swallowed)
  end)
end)

describe("coroutine.close of a coroutine that waits", function()
  it("ends the wait: it is dead, and whoever resumed it is told so", function()
    local co, resumer = waiting_coroutine(function() socket.sleep(1000) end)
    assert.is_true(coroutine.close(co))
    assert.equal("dead", coroutine.status(co))
    assert.same({ false, "cannot resume dead coroutine" }, { resumer:join() })
    assert.same({ false, "cannot resume dead coroutine" }, { coroutine.resume(co) })
  end)

  it("runs its <close> variables, and no pcall holds it up", function()
    local order = {}
    local co, resumer = waiting_coroutine(function()
      local function note() order[#order + 1] = "guard" end
      local guard <close> = setmetatable({}, { __close = note })
      assert.is_table(guard)
      pcall(socket.sleep, 1000)
      order[#order + 1] = "went on"
    end)
    coroutine.close(co)
    resumer:join()
    assert.same({ "guard" }, order)
  end)

  it("gives an error of its closing to whoever resumed it", function()
    local co, resumer = waiting_coroutine(function()
      local guard <close> = setmetatable({}, { __close = function() error("in close", 0) end })
      assert.is_table(guard)
      socket.sleep(1000)
    end)
    assert.is_true(coroutine.close(co))
    assert.same({ false, "in close" }, { resumer:join() })
  end)

  it("takes nothing from the socket, which the next reader has whole", function()
    local a, b = net.pair()
    local co, resumer = waiting_coroutine(function() return a:receive() end)
    coroutine.close(co)
    resumer:join()
    b:send "for the next\n"
    assert.equal("for the next", a:receive())
    a:close()
    b:close()
  end)

  it("works in a lookup, a select, an accept, a join and a loading module", function()
    local server <close> = assert(socket.bind("127.0.0.1", 0))
    module("spec.never", "require 'socket'.sleep(1000)")
    local sleeper = task.spawn(socket.sleep, 1000)
    for _, wait in ipairs {
      function() while true do socket.dns.toip "localhost" end end,
      function() socket.select({ server }, nil) end,
      function() server:accept() end,
      function() sleeper:join() end,
      function() require "spec.never" end,
    } do
      local co, resumer = waiting_coroutine(wait)
      assert.is_true(coroutine.close(co))
      assert.same({ false, "cannot resume dead coroutine" }, { resumer:join() })
    end
    sleeper:cancel()
    sleeper:join()
  end)

  it("lets its task go on, which is not cancelled", function()
    local co = coroutine.create(function() socket.sleep(1000) end)
    local resumer = task.spawn(function()
      local ok = coroutine.resume(co)
      task.sleep(0.001)
      return ok, "went on"
    end)
    task.yield()
    coroutine.close(co)
    assert.same({ false, "went on" }, { resumer:join() })
  end)

  it("is refused for the one around it, and for a task's own", function()
    local inner = coroutine.create(function() socket.sleep(1000) end)
    local own
    local outer, resumer = waiting_coroutine(function()
      return coroutine.resume(inner)
    end)
    local sleeper = task.spawn(function() own = coroutine.running() socket.sleep(1000) end)
    task.yield()
    for _, co in ipairs { outer, own } do
      assert.same({ false, "cannot close a normal coroutine" }, { pcall(coroutine.close, co) })
      assert.same({ false, "cannot resume non-suspended coroutine" }, { coroutine.resume(co) })
    end
    coroutine.close(inner)
    assert.same({ true, false, "cannot resume dead coroutine" }, { resumer:join() })
    sleeper:cancel()
    sleeper:join()
  end)
end)

describe("where Lua cannot suspend, the error names the call:", function()
  for name, call in pairs {
    ["table.sort"] = function(wait) table.sort({ 3, 2, 1 }, wait) end,
    ["string.gsub"] = function(wait) ("abc"):gsub(".", wait) end,
    ["tostring"] = function(wait) tostring(setmetatable({}, { __tostring = wait })) end,
    ["load"] = function(wait) assert(load(wait)) end,
  } do
    it(name, function()
      for what, wait in pairs {
        receive = function(conn) conn:receive() end,
        accept = function(_, server) server:accept() end,
        sleep = function() socket.sleep(0.001) end,
        select = function(conn) socket.select({ conn }, nil) end,
      } do
        local a, b = net.pair()
        local server = assert(socket.bind("127.0.0.1", 0))
        local ok, message = pcall(call, function() wait(a, server) end)
        assert.is_false(ok)
        assert.matches(what .. " would have to wait, but Lua cannot suspend here", message)
        a:close()
        b:close()
        server:close()
      end
    end)
  end
end)
