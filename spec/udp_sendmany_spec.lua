-- SPDX-License-Identifier: MIT
--
-- sendmany: a list of datagrams in one call.

local socket = require "socket"
local task = require "lariat.task"

local function bound(host)
  local udp = assert((host and host:find ":" and socket.udp6 or socket.udp4)())
  assert(udp:setsockname(host or "127.0.0.1", 0))
  udp:settimeout(5)
  local _, port = udp:getsockname()
  return udp, port
end

local function numbers(from, to, prefix)
  local list = {}
  for i = from, to do list[#list + 1] = (prefix or "") .. i end
  return list
end

-- Takes n datagrams one by one.
local function receive_all(udp, n)
  local list = {}
  for i = 1, n do list[i] = assert(udp:receive()) end
  return list
end

describe("sendmany", function()
  it("sends a list to different places and says how many", function()
    local a <close>, port_a = bound()
    local b <close>, port_b = bound()
    local sender <close> = bound()
    assert.equal(3, sender:sendmany {
      { "to a", "127.0.0.1", port_a },
      { "to b", "127.0.0.1", port_b },
      { "", "127.0.0.1", port_a },
    })
    assert.same({ "to a", "" }, receive_all(a, 2))
    assert.equal("to b", b:receive())
  end)

  it("answers what receivemany returned, as it is", function()
    local server <close>, port = bound()
    local client <close> = bound()
    for i = 1, 40 do client:sendto("q" .. i, "127.0.0.1", port) end
    local echoed = 0
    while echoed < 40 do echoed = echoed + server:sendmany(server:receivemany(40)) end
    assert.same(numbers(1, 40, "q"), receive_all(client, 40))
  end)

  it("on a connected socket takes the datagrams alone", function()
    local a <close>, port = bound()
    local sender <close> = socket.udp4()
    sender:setpeername("127.0.0.1", port)
    assert.equal(3, sender:sendmany { "one", { "two" }, { "three", "192.0.2.9", 1 } })
    assert.same({ "one", "two", "three" }, receive_all(a, 3))
  end)

  it("sends more than one batch in order", function()
    local a <close>, port = bound()
    local list = {}
    for i = 1, 150 do list[i] = { tostring(i), "127.0.0.1", port } end
    assert.equal(150, a:sendmany(list))
    assert.same(numbers(1, 150), receive_all(a, 150))
  end)

  it("knows names and IPv6", function()
    local a <close>, port = bound()
    local b <close>, port6 = bound "::1"
    local sender <close> = socket.udp4()
    assert.equal(2, sender:sendmany { { "x", "localhost", port }, { "y", "localhost", port } })
    assert.same({ "x", "y" }, receive_all(a, 2))
    local six <close> = socket.udp()
    assert.equal(1, six:sendmany { { "six", "::1", port6 } })
    assert.equal("six", b:receive())
  end)

  it("sends nothing at all if an entry makes no sense", function()
    local a <close>, port = bound()
    local good = { "good", "127.0.0.1", port }
    for _, bad in ipairs {
      {}, { "x" }, { "x", "127.0.0.1" }, { {}, "127.0.0.1", port },
      "x", true,
    } do
      local ok, message = pcall(a.sendmany, a, { good, bad })
      assert.is_false(ok)
      assert.matches("entry 2", message)
    end
    assert.same({ nil, "entry 2: port 65536 is out of range (0 to 65535)", 0 },
      { a:sendmany { good, { "x", "127.0.0.1", 65536 } } })
    assert.has_error(function() a:sendmany "x" end)
    assert.equal(0, a:sendmany {})
    a:settimeout(0)
    assert.same({ nil, "timeout" }, { a:receive() })
  end)

  it("says what failed and how many went before", function()
    local a <close>, port = bound()
    local big = ("x"):rep(70000)
    local list = {}
    for i, data in ipairs { "1", "2", big } do list[i] = { data, "127.0.0.1", port } end
    assert.same({ nil, "Message too long", 2 }, { a:sendmany(list) })
    assert.same({ "1", "2" }, receive_all(a, 2))
    local ok, message, sent = a:sendmany { { "x", "no-such-host.invalid", 9 } }
    assert.is_nil(ok)
    assert.is_string(message)
    assert.equal(0, sent)
    a:close()
    assert.same({ nil, "closed", 0 }, { a:sendmany(list) })
  end)

  it("lets other tasks have their turn in a long list", function()
    local a <close>, port = bound()
    local list = {}
    for i = 1, 5000 do list[i] = { "x", "127.0.0.1", port } end
    local ticks, done = 0, false
    local ticker = task.spawn(function()
      while not done do ticks = ticks + 1 task.yield() end
    end)
    assert.equal(5000, a:sendmany(list))
    done = true
    ticker:join()
    assert.is_true(ticks > 1)
  end)

  it("under way keeps nobody from receiving on the same socket, with timeout 0 either", function()
    local a <close>, port = bound()
    local peer <close>, peer_port = bound()
    peer:sendto("hello", "127.0.0.1", port)
    task.yield()
    local list = {}
    for i = 1, 5000 do list[i] = { "x", "127.0.0.1", peer_port } end
    local sending = task.spawn(a.sendmany, a, list)
    task.yield()
    assert.equal("ready", sending:status()) -- it has given up its turn, and has more to send
    a:settimeout(0)
    assert.same({ "hello", "127.0.0.1", peer_port }, { a:receivefrom() })
    assert.same({ nil, "timeout" }, { a:receivemany() })
    a:settimeout(5)
    assert.same({ 5000 }, { sending:join() })
  end)
end)
