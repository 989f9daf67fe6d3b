-- SPDX-License-Identifier: MIT
--
-- The end of a socket: closed, closed again, left by scope, or forgotten.

local net = require "spec.support.net"
local socket = require "socket"
local task = require "lariat.task"

local SCALE = tonumber(os.getenv "SCALE") or 1

local function is_open(fd)
  local file = io.open("/proc/self/fdinfo/" .. fd)
  if file then file:close() end
  return file ~= nil
end

describe("a socket", function()
  it("closed twice is closed", function()
    local near, far = net.pair()
    local fd = near:getfd()
    assert.equal(1, near:close())
    assert.is_false(is_open(fd))
    assert.equal(1, near:close())
    assert.equal(1, far:close())
  end)

  it("closed answers every call with closed", function()
    local near, far = net.pair()
    near:close()
    far:close()
    for _, method in ipairs { "receive", "receiveany" } do
      assert.same({ nil, "closed", "" }, { near[method](near) })
    end
    assert.same({ nil, "closed", "" }, { near:receiveuntil ";" })
    assert.same({ nil, "closed" }, { near:peek(1) })
    assert.same({ nil, "closed" }, { near:flush() })
    assert.equal(1, near:shutdown()) -- as LuaSocket
    assert.same({ nil, "closed", 0 }, { near:send "x" })
    assert.is_nil((near:getpeername()))
    assert.is_nil((near:getsockname()))
    assert.equal(1, near:settimeout(1))
    assert.error_matches(function() for _ in near:lines() do error "a line" end end, "closed")
  end)

  it("in a <close> variable is closed when its scope is left", function()
    local near, far = net.pair()
    local fd
    do
      local scoped <close> = near
      fd = scoped:getfd()
      assert.is_true(is_open(fd))
    end
    assert.is_false(is_open(fd))
    assert.same({ nil, "closed", "" }, { far:receive() })
    near, far = far, net.pair()
    assert.has_error(function()
      local scoped <close> = far
      fd = scoped:getfd()
      error "leaving"
    end)
    assert.is_false(is_open(fd))
    near:close()
  end)

  it("in a <close> variable is closed when its task is cancelled", function()
    local near, far = net.pair()
    local reading = task.spawn(function()
      local scoped <close> = near
      return scoped:receive()
    end)
    task.yield()
    reading:cancel()
    assert.same({ nil, "closed", "" }, { far:receive() })
    reading:join()
    far:close()
  end)

  it("that is dropped closes its descriptor when it is collected", function()
    local near, far = net.pair()
    local fd = near:getfd()
    near = nil -- luacheck: ignore
    collectgarbage()
    collectgarbage()
    assert.is_false(is_open(fd))
    assert.same({ nil, "closed", "" }, { far:receive() })
    far:close()
  end)

  it("that a task waits on is not collected", function()
    local far
    local reading = task.spawn(function()
      local near
      near, far = net.pair()
      return near:receive()
    end)
    while not far do task.yield() end
    task.yield()
    collectgarbage()
    collectgarbage()
    far:send "still here\n"
    assert.equal("still here", reading:join())
    far:close()
  end)

  it("closed by one task wakes every other that waits on it", function()
    local near, far = net.pair()
    near:settimeout(0)
    repeat local sent = near:send(("x"):rep(65536)) until not sent
    near:settimeout(nil)
    local waiting = {
      task.spawn(near.receive, near), task.spawn(near.send, near, ("y"):rep(65536)),
      task.spawn(near.send, near, "z"), task.spawn(near.flush, near),
      task.spawn(socket.select, { near }, nil),
    }
    task.yield()
    near:close()
    for i = 1, 4 do assert.equal("closed", (select(2, waiting[i]:join()))) end
    assert.equal(near, waiting[5]:join()[1])
    far:close()
  end)

  it("opened and closed many times leaves no descriptor behind", function()
    local probe = socket.tcp4()
    local lowest = probe:getfd()
    probe:close()
    for _ = 1, 1000 // SCALE do
      local near, far = net.pair()
      near:send "x"
      assert.equal("x", far:receive(1))
      far:close()
      near:close()
    end
    local again <close> = socket.tcp4()
    assert.equal(lowest, again:getfd())
  end)
end)

describe("a finalizer that closes the socket of a call under way", function()
  -- Calls f with a collection due at its first allocation, whose finalizer closes the socket.
  local function closed_within(sock, f)
    local closed = false
    collectgarbage "generational"
    collectgarbage()
    collectgarbage "stop"
    setmetatable({}, { __gc = function() closed = true sock:close() end })
    for _ = 1, 3 do local _ = {} end
    collectgarbage "restart"
    local results = table.pack(f())
    collectgarbage "incremental"
    assert.is_true(closed)
    return { table.unpack(results, 1, 2) }
  end

  it("is met by connect", function()
    local server <close> = assert(socket.bind("127.0.0.1", 0))
    local _, port = server:getsockname()
    for maker, host in pairs { tcp4 = "127.0.0.1", tcp = "localhost" } do
      local master = socket[maker]()
      assert.same({ nil, "closed" }, closed_within(master, function()
        return master:connect(host, port)
      end))
    end
  end)

  it("is met by send and receive while they make strings of their arguments", function()
    for name, call in pairs {
      ["a number"] = function(sock) return sock:send(1.5) end,
      ["a table"] = function(sock) return sock:send { 1.5, "x" } end,
      ["a prefix"] = function(sock) return sock:receive(10, 1.5) end,
      ["a delimiter"] = function(sock) return sock:receiveuntil(1.5) end,
    } do
      local near, far = net.pair()
      local results = closed_within(near, function() return call(near) end)
      assert.same({ nil, "closed" }, results, name)
      far:close()
    end
  end)
end)
