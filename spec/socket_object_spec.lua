-- SPDX-License-Identifier: MIT
--
-- The socket as an object: classes, options, timeouts, statistics, descriptors, and its end.

local lariat = require "lariat"
local net = require "spec.support.net"
local socket = require "socket"
local task = require "lariat.task"

-- The descriptors of this process, as the kernel sees them.
local function is_open(fd)
  local link = io.open("/proc/self/fdinfo/" .. fd)
  if link then link:close() end
  return link ~= nil
end

describe("a socket's class", function()
  it("follows its life", function()
    local master <close> = socket.tcp()
    assert.equal("tcp{master}", master.class)
    assert.matches("^tcp{master}: 0x%x+$", tostring(master))
    local server <close> = assert(socket.bind("127.0.0.1", 0))
    assert.equal("tcp{server}", server.class)
    assert.matches("^tcp{server}: ", tostring(server))
    master:connect("127.0.0.1", (select(2, server:getsockname())))
    assert.equal("tcp{client}", master.class)
    assert.matches("^tcp{client}: ", tostring(master))
    local accepted = assert(server:accept())
    accepted:close()
    assert.matches("^tcp{client}: ", tostring(accepted))
  end)

  it("decides which calls make sense", function()
    local master <close> = socket.tcp()
    local server <close> = assert(socket.bind("127.0.0.1", 0))
    for _, case in ipairs {
      { master, "accept", "server" }, { master, "send", "client" }, { master, "receive", "client" },
      { server, "send", "client" }, { server, "receive", "client" }, { server, "lines", "client" },
      { server, "peek", "client" }, { server, "flush", "client" }, { server, "bind", "master" },
      { server, "pipe", "client" }, { master, "shutdown", "client" },
    } do
      local object, method, role = table.unpack(case)
      assert.error_matches(function() object[method](object, "x", 0) end,
        ("tcp{%s} expected"):format(role))
    end
    assert.error_matches(function() server.close {} end, "expected")
    assert.error_matches(function() server.close(io.stdout) end, "expected")
    assert.error_matches(function() server.close() end, "expected")
  end)

  it("has the methods LuaSocket's have", function()
    local object <close> = socket.tcp()
    for _, name in ipairs { "accept", "bind", "close", "connect", "dirty", "getfamily", "getfd",
      "getoption", "getpeername", "getsockname", "getstats", "setstats", "listen", "receive",
      "send", "setfd", "setoption", "settimeout", "gettimeout", "shutdown" } do
      assert.is_function(object[name], name)
    end
    assert.is_nil(object.no_such_method)
  end)
end)

describe("an option", function()
  local near, far

  before_each(function() near, far = net.pair() end)
  after_each(function()
    near:close()
    far:close()
  end)

  for _, name in ipairs { "keepalive", "reuseaddr", "reuseport", "tcp-nodelay" } do
    it(("%s can be set and unset"):format(name), function()
      assert.equal(1, near:setoption(name, true))
      assert.is_true(near:getoption(name))
      assert.equal(1, near:setoption(name, false))
      assert.is_false(near:getoption(name))
      assert.error_matches(function() near:setoption(name, 1) end, "boolean expected")
    end)
  end

  for name, value in pairs { ["tcp-keepidle"] = 77, ["tcp-keepcnt"] = 5, ["tcp-keepintvl"] = 33 } do
    it(("%s keeps its number"):format(name), function()
      assert.equal(1, near:setoption(name, value))
      assert.equal(value, near:getoption(name))
      assert.error_matches(function() near:setoption(name, "x") end, "number expected")
    end)
  end

  for _, name in ipairs { "recv-buffer-size", "send-buffer-size" } do
    it(("%s is what the kernel makes of it"):format(name), function()
      assert.equal(1, near:setoption(name, 20000))
      assert.equal(40000, near:getoption(name)) -- Linux doubles it for its own use
    end)
  end

  for _, name in ipairs { "recv-timeout", "send-timeout" } do
    it(("%s is in seconds"):format(name), function()
      assert.equal(1, near:setoption(name, 2))
      assert.equal(2, near:getoption(name))
    end)
  end

  it("linger is a table", function()
    assert.equal(1, near:setoption("linger", { on = true, timeout = 5 }))
    assert.same({ on = true, timeout = 5 }, near:getoption "linger")
    near:setoption("linger", { on = false, timeout = 0 })
    assert.is_false(near:getoption "linger".on)
    assert.error_matches(function() near:setoption("linger", true) end, "table expected")
    assert.error_matches(function() near:setoption("linger", {}) end, "'on' field expected")
  end)

  it("error is what happened meanwhile, once", function()
    assert.is_nil(near:getoption "error")
    local client <close> = socket.tcp()
    client:settimeout(0)
    local port
    do
      local server <close> = assert(socket.bind("127.0.0.1", 0))
      port = select(2, server:getsockname())
    end
    local _, message = client:connect("127.0.0.1", port)
    if message == "timeout" then
      socket.select(nil, { client }, 5)
      message = client:getoption "error"
    end
    assert.equal("connection refused", message)
    assert.is_nil(client:getoption "error")
    assert.error_matches(function() near:setoption("error", 1) end, "unsupported option")
  end)

  it("set before connecting holds afterwards", function()
    local server <close> = assert(socket.bind("127.0.0.1", 0))
    local client <close> = socket.tcp()
    assert.equal(1, client:setoption("keepalive", true))
    assert.equal(1, client:setoption("linger", { on = true, timeout = 9 }))
    assert(client:connect("127.0.0.1", (select(2, server:getsockname()))))
    assert.is_true(client:getoption "keepalive")
    assert.equal(9, client:getoption "linger".timeout)
  end)

  it("nobody knows is named", function()
    assert.error_matches(function() near:setoption("colour", 1) end, "unsupported option `colour'")
    assert.error_matches(function() near:getoption "broadcast" end, "unsupported option `broad")
    assert.error_matches(function() near:setoption() end, "bad argument #1 to 'setoption'")
  end)

  it("of a number that the kernel cannot be told is refused", function()
    for _, value in ipairs { 0 / 0, 1 / 0, 1e300, 1 << 40 } do
      assert.error_matches(function() near:setoption("tcp-keepidle", value) end, "out of range")
      assert.error_matches(function()
        near:setoption("linger", { on = true, timeout = value })
      end, "out of range")
    end
    assert.error_matches(function() near:setoption("recv-timeout", 0 / 0) end, "seconds expected")
    assert.error_matches(function() near:setoption("bindtodevice", "lo\0x") end, "zero byte")
  end)

  it("of a closed socket cannot be had", function()
    near:close()
    assert.same({ nil, "setsockopt failed" }, { near:setoption("keepalive", true) })
    assert.same({ nil, "getsockopt failed" }, { near:getoption "keepalive" })
  end)
end)

describe("timeouts", function()
  local near, far

  before_each(function() near, far = net.pair() end)
  after_each(function()
    near:close()
    far:close()
  end)

  it("are none at first, and are told back in both modes", function()
    assert.same({ -1, -1 }, { near:gettimeout() })
    assert.equal(1, near:settimeout(1.5))
    assert.equal(1, near:settimeout(7, "t"))
    assert.same({ 1.5, 7 }, { near:gettimeout() })
    near:settimeout(nil)
    near:settimeout(-3, "r")
    assert.same({ -1, -3 }, { near:gettimeout() })
    near:settimeout(2, "b")
    assert.same({ 2, -3 }, { near:gettimeout() })
    assert.error_matches(function() near:settimeout(1, "x") end, "bad argument #2 to 'settimeout'")
    assert.error_matches(function() near:settimeout "x" end, "bad argument #1 to 'settimeout'")
    assert.error_matches(function() near:settimeout(0 / 0) end,
      "bad argument #1 to 'settimeout' %(seconds expected, got nan%)")
    assert.same({ 2, -3 }, { near:gettimeout() })
  end)

  it("end a wait in either mode", function()
    for _, mode in ipairs { "b", "t", "r" } do
      near:settimeout(-1, "b")
      near:settimeout(-1, "t")
      near:settimeout(0.005, mode)
      assert.same({ nil, "timeout", "" }, { near:receive() })
    end
    near:settimeout(60, "b")
    near:settimeout(0.005, "t") -- the nearer of the two counts
    assert.same({ nil, "timeout", "" }, { near:receive() })
    near:settimeout(0.005, "b")
    near:settimeout(60, "t")
    assert.same({ nil, "timeout", "" }, { near:receive() })
  end)

  it("of the whole call end it although bytes keep coming", function()
    near:settimeout(0.05, "t")
    local dripping = task.spawn(function()
      while far:send "x" do
        far:flush()
        task.sleep(0.002)
      end
    end)
    local data, message, partial = near:receive "*a"
    assert.same({ nil, "timeout" }, { data, message })
    assert.matches("^x+$", partial)
    dripping:cancel()
    dripping:join()
  end)
end)

describe("statistics", function()
  it("count what was received and sent", function()
    local near, far = net.pair()
    far:send "12345\n"
    near:send "123"
    near:receive()
    local received, sent, age = near:getstats()
    assert.same({ 6, 3 }, { received, sent })
    assert.equal("integer", math.type(received))
    assert.is_true(age >= 0)
    assert.equal(1, near:setstats(100, 200, 3600))
    near:send "1234"
    received, sent, age = near:getstats()
    assert.same({ 100, 204 }, { received, sent })
    assert.is_true(age >= 3600)
    near:close()
    received, sent = near:getstats()
    assert.same({ 100, 204 }, { received, sent })
    assert.error_matches(function() far:setstats(0 / 0) end, "number of bytes expected")
    assert.error_matches(function() far:setstats(0, 1e300) end, "number of bytes expected")
    far:close()
  end)
end)

describe("a descriptor", function()
  it("is told, and -1 once closed", function()
    local near, far = net.pair()
    assert.equal("integer", math.type(near:getfd()))
    assert.is_true(is_open(near:getfd()))
    far:close()
    assert.equal(-1, far:getfd())
    assert.equal(-1, socket.tcp():getfd())
    near:close()
  end)

  it("can move to another object, also while it was in use", function()
    local near, far = net.pair()
    far:send "before\nafter\n"
    assert.equal("before", near:receive())
    near:receive() -- nothing may be left in the object that gives it away
    local heir, bystander = net.pair()
    local spare <close> = socket.tcp()
    spare:setfd(heir:getfd())
    heir:setfd(near:getfd())
    near:setfd(-1)
    near:close()
    far:send "more\n"
    assert.equal("more", heir:receive())
    heir:send "back\n"
    assert.equal("back", far:receive())
    for _, each in ipairs { heir, bystander, far } do each:close() end
  end)

  it("is what a task that waits already goes on with", function()
    local near, far = net.pair()
    local heir, peer = net.pair()
    local spare <close> = socket.tcp()
    local receiving = task.spawn(near.receive, near)
    local selecting = task.spawn(function() return #socket.select({ near }, nil, 5) end)
    task.yield()
    local old, new = near:getfd(), heir:getfd()
    heir:setfd(-1)
    near:setfd(new)
    spare:setfd(old)
    peer:send "through the new one\n"
    assert.equal("through the new one", (receiving:join(5)))
    assert.equal(1, (selecting:join(5)))
    for _, each in ipairs { near, far, heir, peer } do each:close() end
  end)

  it("of something else, as of the runtime itself, is not taken", function()
    local child <close> = assert(lariat.run { "true" })
    local master <close> = assert(socket.tcp4())
    local own = master:getfd()
    local function refused(fd, why)
      assert.error_matches(function() master:setfd(fd) end, why, 1, true)
      assert.equal(own, master:getfd())
    end
    refused(child.stdout:getfd(), "Socket operation on non-socket")
    refused(1000000, "descriptor 1000000: Bad file descriptor")
    refused(-2, "descriptor expected, or -1 for none")
  end)

  it("is not given up before what was sent has gone out, and takes no ends along", function()
    local near, far = net.pair()
    near:settimeout(0)
    while near:send(("x"):rep(65536)) do end
    assert.error_matches(function() near:setfd(-1) end, "has not gone out yet", 1, true)
    local reading = task.spawn(far.receive, far, "*a")
    near:settimeout(5)
    assert(near:shutdown "send" and near:flush())
    reading:join()
    local other, peer = net.pair()
    local fd, spare = other:getfd(), near:getfd()
    other:setfd(-1)
    near:setfd(fd)
    other:setfd(spare)
    assert(near:send "anew\n")
    assert.equal("anew", peer:receive())
    for _, each in ipairs { near, far, other, peer } do each:close() end
  end)

  it("that another socket waits on is not taken", function()
    local near, far = net.pair()
    local other <close> = socket.tcp4()
    local own = other:getfd()
    local receiving = task.spawn(near.receive, near)
    task.yield()
    assert.error_matches(function() other:setfd(near:getfd()) end, "belongs to another socket")
    assert.equal(own, other:getfd())
    far:send "x\n"
    assert.equal("x", receiving:join())
    near:close()
    far:close()
  end)

  it("that is no number of one is refused", function()
    local near, far = net.pair()
    local own = near:getfd()
    for _, fd in ipairs { -5, 1 << 40 } do
      assert.error_matches(function() near:setfd(fd) end, "bad argument #1 to 'setfd' %(descriptor")
    end
    assert.equal(own, near:getfd())
    near:close()
    far:close()
  end)

  it("is dirty while bytes wait in the object", function()
    local near, far = net.pair()
    assert.is_false(near:dirty())
    far:send "one\ntwo\n"
    assert.equal("one", near:receive())
    assert.is_true(near:dirty())
    assert.equal("two", near:receive())
    assert.is_false(near:dirty())
    near:close()
    far:close()
    assert.is_false(near:dirty())
  end)
end)

describe("the metatable", function()
  it("of an object whose finalizer the runtime relies on stays", function()
    local master <close> = socket.tcp4()
    local watch <close> = require "lariat".signal "USR2"
    for _, object in ipairs { master, watch, task.current() } do
      local before = getmetatable(object)
      assert.error_matches(function() debug.setmetatable(object, nil) end, "keeps its metatable")
      assert.equal(before, getmetatable(object))
    end
    local own = {}
    assert.equal(own, debug.setmetatable(own, { __name = "lariat.mine" }))
    assert.error_matches(function() debug.setmetatable({}, 5) end, "nil or table expected")
  end)
end)
