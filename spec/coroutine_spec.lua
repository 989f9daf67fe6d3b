-- SPDX-License-Identifier: MIT
--
-- A script's own coroutines: as in Lua 5.4, and what waits inside them suspends the whole task.

local socket = require "socket"
local task = require "lariat.task"
local net = require "spec.support.net"

describe("a coroutine that does I/O", function()
  it("yields to its consumer and waits for the network between", function()
    local a <close>, b = net.pair()
    local words = coroutine.wrap(function()
      while true do
        local line = a:receive()
        if not line then return "end" end
        for word in line:gmatch "%S+" do coroutine.yield(word) end
      end
    end)
    local sending = task.spawn(function()
      for _, line in ipairs { "one two", "three" } do
        b:send(line .. "\n")
        task.sleep(0.001)
      end
      b:close()
    end)
    assert.same({ "one", "two", "three", "end" }, { words(), words(), words(), words() })
    sending:join()
  end)

  it("takes and gives values through resume while it waits", function()
    local co = coroutine.create(function(...)
      task.yield()
      local got = table.pack(coroutine.yield(...))
      task.sleep(0.001)
      return table.unpack(got, 1, got.n)
    end)
    assert.same({ true, 1, nil, n = 3 }, table.pack(coroutine.resume(co, 1, nil)))
    assert.equal("suspended", coroutine.status(co))
    assert.same({ true, nil, "x", nil, n = 4 }, table.pack(coroutine.resume(co, nil, "x", nil)))
    assert.same({ false, "cannot resume dead coroutine" }, { coroutine.resume(co) })
  end)

  it("waits at any depth", function()
    local function nest(depth)
      if depth == 0 then
        task.sleep(0.001)
        coroutine.yield "inner"
        task.yield()
        return "bottom"
      end
      local co = coroutine.wrap(function() return nest(depth - 1) end)
      local first = co()
      task.yield()
      coroutine.yield(first)
      return co()
    end
    local outermost = coroutine.wrap(function() return nest(50) end)
    assert.equal("inner", outermost())
    assert.equal("bottom", outermost())
  end)

  it("is normal while it waits: nobody else resumes it", function()
    local co = coroutine.create(function() task.sleep(0.01) return "done" end)
    local waiting = task.spawn(function() return coroutine.resume(co) end)
    task.yield()
    assert.equal("normal", coroutine.status(co))
    assert.same({ false, "cannot resume non-suspended coroutine" }, { coroutine.resume(co) })
    assert.same({ true, "done" }, { waiting:join() })
    assert.equal("dead", coroutine.status(co))
  end)

  it("gives its errors with their positions to resume and wrap", function()
    local co = coroutine.create(function() task.yield() error "on purpose" end)
    local ok, message = coroutine.resume(co)
    assert.is_false(ok)
    assert.matches("^[^\n]*coroutine_spec%.lua:%d+: on purpose$", message)
    local thrown = {}
    local wrapped = coroutine.wrap(function() task.yield() error(thrown) end)
    local _, err = pcall(wrapped)
    assert.equal(thrown, err)
    wrapped = coroutine.wrap(function() task.yield() error("no position", 0) end)
    _, message = pcall(function() wrapped() end) -- wrap adds where it was called
    assert.matches("coroutine_spec%.lua:%d+: no position$", message)
  end)

  it("is handed from one task to another between its yields", function()
    local co = coroutine.wrap(function()
      for i = 1, 4 do
        task.yield()
        coroutine.yield(i)
      end
    end)
    local got = {}
    for i = 1, 4 do got[i] = task.spawn(co):join() end
    assert.same({ 1, 2, 3, 4 }, got)
  end)

  it("is cancelled with its task, and its <close> variables run", function()
    local order = {}
    local function guard(name)
      return setmetatable({}, { __close = function() table.insert(order, name) end })
    end
    local t = task.spawn(function()
      local outer <close> = guard "task"
      local co = coroutine.wrap(function()
        local inner <close> = guard "coroutine"
        task.sleep(inner and 1000)
      end)
      co(outer)
    end)
    task.yield()
    t:cancel()
    assert.same({ nil, "cancelled" }, { t:join() })
    assert.same({ "coroutine", "task" }, order)
  end)

  it("catches its own failures with pcall across waits", function()
    local co = coroutine.wrap(function()
      local ok, err = pcall(function() task.yield() error("inner", 0) end)
      coroutine.yield(ok, err)
      local message = select(2, xpcall(function() task.yield() error("x", 0) end, function(m)
        return m .. " handled"
      end))
      return message
    end)
    assert.same({ false, "inner" }, { co() })
    assert.equal("x handled", co())
  end)

  it("drives many generators at once", function()
    local generators = {}
    for g = 1, 100 do
      generators[g] = coroutine.wrap(function()
        for i = 1, 20 do
          if i % 7 == g % 7 then task.yield() end
          coroutine.yield(i)
        end
      end)
    end
    for i = 1, 20 do
      for g = 1, 100 do assert.equal(i, generators[g]()) end
    end
  end)
end)

describe("the coroutine library", function()
  it("takes the body of a task for the main one", function()
    local t = task.spawn(function()
      local _, main = coroutine.running()
      return main, coroutine.isyieldable(), pcall(coroutine.yield, 1)
    end)
    assert.same({ true, false, false, "attempt to yield from outside a coroutine" }, { t:join() })
    assert.is_true(coroutine.wrap(function() return coroutine.isyieldable() end)())
    assert.is_false(select(2, coroutine.wrap(function() return coroutine.running() end)()))
  end)

  it("knows what state a coroutine is in", function()
    local co
    co = coroutine.create(function()
      assert.equal("running", coroutine.status(co))
      assert.same({ false, "cannot resume non-suspended coroutine" }, { coroutine.resume(co) })
      coroutine.wrap(function()
        assert.equal("normal", coroutine.status(co))
        assert.same({ false, "cannot resume non-suspended coroutine" }, { coroutine.resume(co) })
      end)()
      coroutine.yield()
    end)
    assert.equal("suspended", coroutine.status(co))
    assert.is_true(coroutine.resume(co))
    assert.equal("suspended", coroutine.status(co))
    assert.is_true(coroutine.resume(co))
    assert.equal("dead", coroutine.status(co))
  end)

  it("says that a wrapped coroutine resumes itself", function()
    local f
    f = coroutine.wrap(function() f() end)
    assert.error_matches(f, "cannot resume non%-suspended coroutine$")
  end)

  it("closes what is suspended, with its <close> variables", function()
    local seen = {}
    local function suspended(on_close)
      local co = coroutine.create(function()
        local guard <close> = setmetatable({}, { __close = on_close })
        coroutine.yield(guard)
      end)
      coroutine.resume(co)
      return co
    end
    local co = suspended(function(_, err) table.insert(seen, err == nil) end)
    assert.is_true(coroutine.close(co))
    assert.same({ true }, seen)
    assert.equal("dead", coroutine.status(co))
    assert.is_true(coroutine.close(co))
    assert.same({ false, "in close" }, { coroutine.close(suspended(function()
      error("in close", 0)
    end)) })
  end)

  it("closes the <close> variables of a wrapped coroutine that fails", function()
    local seen
    local f = coroutine.wrap(function()
      local guard <close> = setmetatable({}, { __close = function(_, err) seen = err end })
      task.yield()
      error(guard and "boom", 0)
    end)
    assert.error_matches(f, "boom$")
    assert.equal("boom", seen)
  end)

  it("names a wrong argument", function()
    assert.error_matches(function() coroutine.resume(1) end, "thread expected, got number")
    assert.error_matches(function() coroutine.status() end, "thread expected")
    assert.error_matches(function() coroutine.create() end, "function expected")
    assert.error_matches(function() coroutine.wrap(1) end, "function expected")
  end)
end)

describe("where Lua cannot suspend", function()
  local a, b

  before_each(function() a, b = net.pair() end)
  after_each(function() a:close() b:close() end)

  for name, place in pairs {
    ["table.sort"] = function(f) table.sort({ 3, 2, 1 }, function() f() return false end) end,
    ["string.gsub"] = function(f) return (("x"):gsub("x", f)) end,
    ["a load reader"] = function(f) assert(load(function() f() end)) end,
    ["a coroutine inside table.sort"] = function(f)
      table.sort({ 3, 2, 1 }, function() coroutine.wrap(f)() return false end)
    end,
  } do
    it("a wait inside " .. name .. " is an error that names the call", function()
      for call, wait in pairs {
        receive = function() a:receive() end,
        sleep = function() task.sleep(1) end,
        select = function() socket.select({ a }, nil, 10) end,
        toip = function() socket.dns.toip "localhost" end,
      } do
        local seen
        pcall(place, function() seen = table.pack(pcall(wait)) end)
        assert.is_false(seen[1])
        assert.matches(call .. " would have to wait", seen[2])
      end
      b:send "x\n"
      assert.equal("x", a:receive())
    end)

    it("what need not wait works inside " .. name, function()
      b:send "one\ntwo\n"
      while not a:peek(8) do task.yield() end
      a:settimeout(0)
      local seen
      pcall(place, function() seen = seen or { a:receive(), (a:send "answer\n") } end)
      assert.same({ "one", 7 }, seen)
      assert.equal("answer", b:receive())
    end)
  end

  it("a task that has used up its turn goes on all the same", function()
    local udp <close> = socket.udp4()
    udp:setsockname("127.0.0.1", 0)
    udp:settimeout(0)
    a:settimeout(0)
    local count = 0
    table.sort({ 2, 1 }, function()
      for _ = 1, 300 do
        assert.equal("timeout", select(2, udp:receive()))
        assert.equal("timeout", select(2, a:receive()))
        count = count + 1
      end
      return false
    end)
    assert.is_true(count >= 300)
  end)
end)
