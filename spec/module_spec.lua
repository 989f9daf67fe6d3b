-- SPDX-License-Identifier: MIT
--
-- The module `socket` beside its sockets: names, constants, helpers, exceptions, sinks and sources.

local socket = require "socket"
local ltn12 = require "ltn12"
local task = require "lariat.task"
local net = require "spec.support.net"

describe("the module socket", function()
  it("has every name of LuaSocket 3.1", function()
    for name, kind in pairs {
      _DATAGRAMSIZE = "number", _DEBUG = "boolean", _SETSIZE = "number", _VERSION = "string",
      BLOCKSIZE = "number", __unload = "function", bind = "function", choose = "function",
      connect = "function", connect4 = "function", connect6 = "function", dns = "table",
      gettime = "function", newtry = "function", protect = "function", select = "function",
      sink = "function", sinkt = "table", skip = "function", sleep = "function",
      source = "function", sourcet = "table", tcp = "function", tcp4 = "function",
      tcp6 = "function", try = "function", udp = "function", udp4 = "function",
      udp6 = "function",
    } do
      assert.equal(kind, type(socket[name]), name)
    end
    for _, name in ipairs { "toip", "tohostname", "getaddrinfo", "getnameinfo", "gethostname" } do
      assert.is_function(socket.dns[name])
    end
    assert.matches("^LuaSocket 3", socket._VERSION)
    assert.equal(2048, socket.BLOCKSIZE)
  end)

  it("is found by every name that LuaSocket has", function()
    assert.equal(socket, require "socket")
    assert.is_function(require "socket.core".tcp)
    assert.is_function(require "socket.core".select)
    local unix <close> = require "socket.unix" ()
    assert.matches("^unixstream", tostring(unix))
  end)

  it("keeps the names and lines of its source", function()
    local info = debug.getinfo(socket.connect, "S")
    assert.equal("socket", info.short_src)
    assert.is_true(info.linedefined > 0)
    assert.equal("f", debug.getlocal(socket.protect, 1))
  end)

  it("knows what class an object is of", function()
    for name, class in pairs { tcp = "tcp{master}", tcp4 = "tcp{master}", tcp6 = "tcp{master}",
      udp = "udp{unconnected}", udp4 = "udp{unconnected}", udp6 = "udp{unconnected}" } do
      local s <close> = assert(socket[name]())
      assert.equal(class, s.class)
      assert.equal(class, tostring(s):match "^[^:]+")
    end
    local server <close> = assert(socket.bind("127.0.0.1", 0))
    assert.equal("tcp{server}", server.class)
    local a <close>, b = net.pair()
    assert.equal("tcp{client}", a.class)
    assert.equal("tcp{client}", b.class)
  end)

  it("tells the time, and sleeps", function()
    local wall = socket.gettime()
    assert.is_true(math.abs(wall - os.time()) < 2)
    local start = task.now()
    socket.sleep(0.02)
    assert.is_true(task.now() - start >= 0.02)
    socket.sleep(0)
    socket.sleep(-1)
    assert.has_error(function() socket.sleep "x" end)
  end)

  it("sleeps without stopping others", function()
    local order = {}
    local sleeper = task.spawn(function()
      socket.sleep(0.02)
      table.insert(order, "slept")
    end)
    local other = task.spawn(function() table.insert(order, "other") end)
    sleeper:join()
    other:join()
    assert.same({ "other", "slept" }, order)
  end)
end)

describe("skip and choose", function()
  it("drop values and pick by name", function()
    assert.same({ "c", n = 1 }, table.pack(socket.skip(2, "a", "b", "c")))
    assert.same({ n = 0 }, table.pack(socket.skip(3, "a")))
    for _, beyond in ipairs { math.maxinteger, 1e300, math.huge, 0 / 0 } do
      assert.same({ n = 0 }, table.pack(socket.skip(beyond, "a", "b")))
    end
    for _, below in ipairs { math.mininteger, -1e300, -math.huge } do
      assert.same({ below, "a", n = 2 }, table.pack(socket.skip(below, "a")))
    end
    local pick = socket.choose {
      default = function(a, b) return "default", a, b end,
      other = function(a, b) return "other", a, b end,
    }
    assert.same({ "default", 1, 2 }, { pick(1, 2) })
    assert.same({ "other", 1, 2 }, { pick("other", 1, 2) })
    assert.has_error(function() pick "none" end)
  end)
end)

describe("try and protect", function()
  it("return what there is, or nil and the message", function()
    local f = socket.protect(function(...) return socket.try(...) end)
    assert.same({ 1, "x", n = 2 }, table.pack(f(1, "x")))
    assert.same({ nil, "message", n = 2 }, table.pack(f(nil, "message", "more")))
    assert.same({ nil, "message", n = 2 }, table.pack(f(false, "message")))
    local object = {}
    assert.equal(object, select(2, f(nil, object)))
  end)

  it("leave other errors alone", function()
    local thrown = {}
    local f = socket.protect(function() error(thrown) end)
    local ok, err = pcall(f)
    assert.is_false(ok)
    assert.equal(thrown, err)
  end)

  it("run the finalizer of newtry before they raise", function()
    local finalized = 0
    local try = socket.newtry(function()
      finalized = finalized + 1
    end)
    local f = socket.protect(function(...) return try(...) end)
    assert.same({ "fine" }, { f "fine" })
    assert.equal(0, finalized)
    assert.same({ nil, "bad" }, { f(nil, "bad") })
    assert.equal(1, finalized)
  end)

  it("may wait inside, in the function and in the finalizer", function()
    local a <close>, b = net.pair()
    local try = socket.newtry(function() task.sleep(0.001) a:close() end)
    local f = socket.protect(function()
      local line = try(a:receive())
      try(a:send(line .. "\n"))
      return try(a:receive())
    end)
    local peer = task.spawn(function()
      b:send "hello\n"
      assert.equal("hello", b:receive())
      b:close()
    end)
    assert.same({ nil, "closed" }, { f() })
    peer:join()
    assert.equal(-1, a:getfd())
  end)
end)

describe("sinks and sources", function()
  it("move a stream by ltn12's pump", function()
    local a <close>, b = net.pair()
    local data = ("0123456789"):rep(10000)
    local pumping = task.spawn(function()
      return ltn12.pump.all(ltn12.source.string(data), socket.sink("close-when-done", b))
    end)
    local chunks = {}
    assert.equal(1, ltn12.pump.all(socket.source("until-closed", a), (ltn12.sink.table(chunks))))
    assert.equal(data, table.concat(chunks))
    assert.equal(1, (pumping:join()))
    assert.equal(-1, a:getfd())
    assert.equal(-1, b:getfd())
  end)

  it("stop at a length and keep the connection", function()
    local a <close>, b = net.pair()
    local sink = socket.sink("keep-open", b)
    assert.equal(10, (sink "0123456789"))
    assert.equal(1, (sink(nil)))
    b:send "more"
    local chunks = {}
    ltn12.pump.all(socket.source("by-length", a, 10), (ltn12.sink.table(chunks)))
    assert.equal("0123456789", table.concat(chunks))
    assert.equal("more", a:receive(4))
  end)

  it("pass a failure on", function()
    local a <close>, b = net.pair()
    a:settimeout(0)
    assert.same({ nil, "timeout" }, { socket.source("until-closed", a)() })
    assert.same({ nil, "timeout" }, { socket.source("by-length", a, 3)() })
    b:close()
    a:settimeout(5)
    assert.same({ nil, "closed" }, { socket.source("by-length", a, 3)() })
    assert.has_error(function() socket.source("nonsense", a) end)
    assert.has_error(function() socket.sink("nonsense", a) end)
  end)

  it("can be selected on", function()
    local a <close>, b = net.pair()
    local source = socket.source("by-length", a, 2)
    assert.equal(a:getfd(), source:getfd())
    b:send "xy"
    local readable = socket.select({ source }, nil, 5)
    assert.equal(source, readable[1])
    assert.equal("xy", source())
  end)
end)
