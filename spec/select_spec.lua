-- SPDX-License-Identifier: MIT
--
-- socket.select over sockets of every kind and over anything that has a descriptor.

local socket = require "socket"
local task = require "lariat.task"
local net = require "spec.support.net"
local program = require "spec.support.program"

local select = socket.select

local function bound()
  local udp = assert(socket.udp4())
  assert(udp:setsockname("127.0.0.1", 0))
  local _, port = udp:getsockname()
  return udp, port
end

describe("select", function()
  it("finds what is readable and what is writable", function()
    local a <close>, b = net.pair()
    b:send "x"
    local readable, writable, message = select({ a, b }, { a, b }, 5)
    assert.same({ a, [a] = 1 }, readable)
    assert.same({ a, b, [a] = 1, [b] = 2 }, writable)
    assert.is_nil(message)
  end)

  it("finds what a receive of another task has left in memory", function()
    local a <close>, b = net.pair()
    local receiving = task.spawn(a.receive, a)
    task.yield()
    local selecting, again = task.spawn(select, { a }), task.spawn(task.wait, { a })
    task.yield()
    b:send "one\ntwo\n"
    assert.equal("one", receiving:join())
    assert.same({ a, [a] = 1 }, (selecting:join(5)))
    assert.equal(a, (again:join(5)))
    assert.equal("two", a:receive())
    b:close()
  end)

  it("finds datagrams that a receive of another task has left in memory", function()
    local udp <close>, port = bound()
    local receiving = task.spawn(udp.receive, udp)
    task.yield()
    local selecting = task.spawn(select, { udp })
    task.yield()
    local sender <close> = assert(socket.udp4())
    assert(sender:sendmany { { "one", "127.0.0.1", port }, { "two", "127.0.0.1", port } })
    assert.equal("one", receiving:join())
    assert.same({ udp, [udp] = 1 }, (selecting:join(5)))
    assert.equal("two", udp:receive())
  end)

  it("mixes servers, clients and datagram sockets", function()
    local server <close> = assert(socket.bind("127.0.0.1", 0))
    local _, server_port = server:getsockname()
    local udp <close>, udp_port = bound()
    local a <close>, b = net.pair()
    local all = { server, udp, a }
    assert.same({ {}, {}, "timeout" }, { select(all, nil, 0) })
    b:send "x"
    assert.same({ a, [a] = 1 }, (select(all, nil, 5)))
    a:receive(1)
    udp:sendto("x", "127.0.0.1", udp_port)
    assert.same({ udp, [udp] = 1 }, (select(all, nil, 5)))
    udp:receive()
    local client <close> = assert(socket.connect("127.0.0.1", server_port))
    assert.same({ server, [server] = 1 }, (select(all, nil, 5)))
    server:accept():close()
    client:close()
    assert.same({ {}, {}, "timeout" }, { select(all, nil, 0) })
  end)

  it("takes nil for a table, and says timeout with nothing ready", function()
    local a <close>, b = net.pair()
    assert.same({ {}, {}, "timeout" }, { select(nil, nil, 0) })
    assert.same({ {}, {}, "timeout" }, { select({}, {}, 0.001) })
    assert.same({ {}, {}, "timeout" }, { select({ a, b }, nil, 0) })
    assert.same({ {}, {}, "timeout" }, { select({ a, b }, nil, 0.01) })
    assert.has_error(function() select(a, nil, 0) end)
    assert.has_error(function() select(nil, "x", 0) end)
    assert.has_error(function() select(nil, nil, "x") end)
  end)

  it("waits without limit for a negative timeout or none", function()
    local a <close>, b = net.pair()
    for _, seconds in ipairs { -1, false } do
      local waiting = task.spawn(function() return select({ a }, nil, seconds or nil) end)
      task.yield()
      assert.equal("waiting", waiting:status())
      b:send "x"
      local readable = waiting:join()
      assert.same({ a, [a] = 1 }, readable)
      a:receive(1)
    end
  end)

  it("counts what is buffered as readable, and so does the end of a stream", function()
    local a <close>, b = net.pair()
    b:send "one\ntwo\n"
    assert.equal("one", a:receive())
    assert.is_true(a:dirty())
    assert.same({ a, [a] = 1 }, (select({ a }, nil, 0)))
    assert.equal("two", a:receive())
    b:close()
    assert.same({ a, [a] = 1 }, (select({ a }, nil, 5)))
    assert.same({ nil, "closed", "" }, { a:receive() })
    assert.same({ a, [a] = 1 }, (select({ a }, nil, 0)))
    local udp <close>, port = bound()
    udp:sendto("1", "127.0.0.1", port)
    udp:sendto("2", "127.0.0.1", port)
    assert.equal("1", udp:receive())
    assert.same({ udp, [udp] = 1 }, (select({ udp }, nil, 0)))
  end)

  it("sends what the script has sent before it waits", function()
    local a <close>, b = net.pair()
    local echo = task.spawn(function() b:send(b:receive(2)) end)
    a:send "hi"
    assert.same({ a, [a] = 1 }, (select({ a }, nil, 5)))
    assert.equal("hi", a:receive(2))
    echo:join()
  end)

  it("takes the same socket in both tables, and twice in one", function()
    local a <close>, b = net.pair()
    b:send "x"
    local readable, writable = select({ a }, { a }, 5)
    assert.same({ a, [a] = 1 }, readable)
    assert.same({ a, [a] = 1 }, writable)
    assert.same({ a, [a] = 1 }, (select({ a, a }, nil, 5)))
    a:receive(1)
    local waiting = task.spawn(function() return select({ a, a }, nil, 5) end)
    task.yield()
    b:send "y"
    assert.same({ a, [a] = 1 }, (waiting:join()))
  end)

  it("is not writable while its peer takes nothing, and is again afterwards", function()
    local a <close>, b = net.pair()
    a:settimeout(0)
    repeat local sent = a:send(("x"):rep(65536)) until not sent
    assert.same({ {}, {}, "timeout" }, { select(nil, { a }, 0) })
    local waiting = task.spawn(function() return select(nil, { a }, 10) end)
    task.yield()
    assert.equal("waiting", waiting:status())
    b:settimeout(0)
    local reader = task.spawn(function()
      while waiting:status() == "waiting" do
        b:receiveany()
        task.yield()
      end
    end)
    local _, writable = waiting:join()
    assert.same({ a, [a] = 1 }, writable)
    reader:join()
  end)

  it("says that a connection is made, or refused", function()
    local server <close> = assert(socket.bind("127.0.0.1", 0))
    local _, port = server:getsockname()
    local client <close> = socket.tcp4()
    client:settimeout(0)
    client:connect("127.0.0.1", port)
    local _, writable = select(nil, { client }, 5)
    assert.same({ client, [client] = 1 }, writable)
    server:close()
    local refused <close> = socket.tcp4()
    refused:settimeout(0)
    refused:connect("127.0.0.1", port)
    _, writable = select(nil, { refused }, 5)
    assert.same({ refused, [refused] = 1 }, writable)
    assert.is_nil((refused:connect("127.0.0.1", port)))
  end)
end)

describe("a socket behind the getfd of an object that is selected", function()
  it("can be read by another task meanwhile", function()
    local a <close>, b = net.pair()
    local object = { getfd = function() return a:getfd() end }
    local selecting = task.spawn(function() return select({ object }, nil, 5)[1] end)
    task.yield()
    local receiving = task.spawn(a.receive, a)
    task.yield()
    b:send "one\n"
    assert.equal("one", (receiving:join(5)))
    b:send "two\n"
    assert.equal(object, (selecting:join(5)))
    assert.equal("two", a:receive())
    b:close()
  end)
end)

describe("a connection that was reset with output pending", function()
  it("is ready to be written, which says so", function()
    local a <close>, b = net.pair()
    a:settimeout(0)
    repeat local _, message = a:send(("x"):rep(1 << 20)) until message
    b:setoption("linger", { on = true, timeout = 0 })
    b:close()
    a:settimeout(5)
    assert.same({ nil, "closed", "" }, { a:receive() })
    local _, writable, message = select(nil, { a }, 1)
    assert.is_nil(message)
    assert.equal(a, writable[1])
    assert.same({ nil, "closed", 0 }, { a:send "x" })
  end)
end)

describe("a socket that is closed", function()
  it("is skipped", function()
    local a <close>, b = net.pair()
    b:close()
    assert.same({ { a, [a] = 1 }, {} }, { select({ b, a }, { b }, 5) })
    assert.same({ {}, {}, "timeout" }, { select({ b }, { b }, 0.001) })
  end)

  it("by another task ends the wait", function()
    local a, b <close> = net.pair()
    local c <close>, d = net.pair()
    assert(b and d)
    local waiting = task.spawn(function() return select({ c, a }, nil, 10) end)
    task.yield()
    a:close()
    local readable = waiting:join()
    assert.same({ a, [a] = 1 }, readable)
  end)

  it("and taken out of the table meanwhile is the one reported", function()
    local list = {}
    for i = 1, 3 do list[i] = bound() end
    local first = list[1]
    local waiting = task.spawn(function() return select(list, nil, 10) end)
    task.yield()
    table.remove(list, 1):close()
    table.remove(list):close()
    local readable = waiting:join()
    assert.equal(first, readable[1])
    assert.equal(2, #readable)
    list[1]:close()
  end)
end)

describe("an object that is no socket", function()
  local function wrap(s, dirty)
    return {
      getfd = function() return s:getfd() end,
      dirty = dirty and function() return true end or nil,
    }
  end

  it("is watched by its getfd", function()
    local a <close>, b = net.pair()
    local object = wrap(a)
    assert.same({ {}, {}, "timeout" }, { select({ object }, nil, 0) })
    local _, writable = select(nil, { object }, 5)
    assert.same({ object, [object] = 1 }, writable)
    local waiting = task.spawn(function() return select({ object }, nil, 5) end)
    task.yield()
    assert.equal("waiting", waiting:status())
    b:send "x"
    local readable = waiting:join()
    assert.same({ object, [object] = 1 }, readable)
    assert.equal("x", a:receive(1))
  end)

  it("is readable at once if it says it is dirty", function()
    local a <close>, b = net.pair()
    assert(b)
    local object = wrap(a, true)
    assert.same({ object, [object] = 1 }, (select({ object }, nil, 5)))
    local closed = { getfd = function() return -1 end }
    assert.same({ {}, {}, "timeout" }, { select({ closed }, nil, 0) })
  end)

  it("may be waited for by several tasks at once", function()
    local a <close>, b = net.pair()
    local object = wrap(a)
    local short = task.spawn(function() return #select({ object }, nil, 0.01) end)
    local long = task.spawn(function() return #select({ object }, nil, 5) end)
    local both = task.spawn(function() return #select({ object }, { wrap(a) }, 5) end)
    assert.equal(0, (short:join()))
    collectgarbage()
    collectgarbage()
    b:send "x"
    assert.equal(1, (long:join()))
    assert.is_true((both:join()) <= 1)
  end)

  it("that nothing can be asked of is skipped", function()
    assert.same({ {}, {}, "timeout" }, { select({ {}, socket }, { {} }, 0) })
  end)
end)

describe("a long select", function()
  it("watches hundreds of sockets", function()
    local count = 600 // (tonumber(os.getenv "SCALE") or 1)
    local sockets, ports = {}, {}
    for i = 1, count do sockets[i], ports[i] = bound() end
    local sender <close> = socket.udp4()
    for _, i in ipairs { 1, count // 2, count } do
      local waiting = task.spawn(function() return select(sockets, nil, 10) end)
      task.yield()
      sender:sendto("x", "127.0.0.1", ports[i])
      local readable = waiting:join()
      assert.same({ sockets[i], [sockets[i]] = 1 }, readable)
      sockets[i]:receive()
    end
    for i = 1, count do sockets[i]:close() end
  end)

  it("on a foreign descriptor that is closed meanwhile leaves its number to the next", function()
    local a, b = net.pair()
    local fd = a:getfd()
    local waiting = task.spawn(select, { { getfd = function() return fd end } }, nil)
    task.yield()
    a:close() -- as foreign code would: select does not know
    local heirs = { net.pair() }
    assert.is_true(heirs[1]:getfd() == fd or heirs[2]:getfd() == fd)
    heirs[1]:send "through\n"
    assert.equal("through", heirs[2]:receive())
    waiting:cancel()
    waiting:join()
    b:close()
    for _, heir in ipairs(heirs) do heir:close() end
  end)

  it("is ended by a cancellation and leaves nothing behind", function()
    local a <close>, b = net.pair()
    local waiting = task.spawn(function() return select({ a }, { }, 10) end)
    task.yield()
    waiting:cancel()
    assert.same({ nil, "cancelled" }, { waiting:join() })
    b:send "x\n"
    assert.equal("x", a:receive())
  end)

  it("in a loop lets other tasks run", function()
    local a <close>, b = net.pair()
    assert(b)
    local ran = false
    local other = task.spawn(function() ran = true end)
    repeat select(nil, { a }) until ran
    other:join()
  end)
end)

-- The collector runs whole cycles, each after ever more allocations, and so in one place after the
-- other, until one comes before the call: the heap of a child is small. Prints whether one came
-- inside the call, and how many calls hung.
describe("a finalizer that runs while a task begins to wait", function()
  local SWEEP = [[
    local socket, task = require "socket", require "lariat.task"
    local function sweep(situation)
      local inside, hung, events = 0, 0, {}
      for i = 1, 60 do events[i] = task.event() end
      collectgarbage("incremental", 110, 100, 40)
      for pad = 0, 1000000, 256 do
        local ran, before = false, false
        local object, finalize = situation()
        local objects = table.move(events, 1, #events, 2, { object })
        local waiting = task.spawn(function()
          collectgarbage()
          setmetatable({}, { __gc = function() finalize() ran = true end })
          local padding = ("x"):rep(pad)
          before = ran
          return task.wait(objects), #padding
        end)
        task.yield()
        if ran and not before then
          for _ = 1, 3 do task.yield() end
          inside = inside + 1
          hung = hung + (waiting:status() == "done" and 0 or 1)
        end
        waiting:cancel()
        if before then break end
      end
      print(inside > 0, hung)
    end
  ]]

  local function sweep(situation)
    local script <close> = program.file(SWEEP .. "sweep(function()" .. situation .. " end)")
    assert.same({ "true\t0\n", "", 0 }, { program.lariat { script.path } })
  end

  it("may close the socket that is waited for", function()
    sweep [[
      local a = assert(socket.udp4())
      return a, function() a:close() end
    ]]
  end)

  it("may set the event that is waited for", function()
    sweep [[
      local event = task.event()
      return event, function() event:set() end
    ]]
  end)

  it("may read ahead from the stream that is waited for", function()
    sweep [[
      local listener <close> = assert(socket.bind("127.0.0.1", 0))
      local peer = assert(socket.connect("127.0.0.1", (select(2, listener:getsockname()))))
      local conn = assert(listener:accept())
      return conn, function()
        peer:send "two"
        conn:settimeout(0)
        assert(conn:receive(1) == "t")
      end
    ]]
  end)
end)
