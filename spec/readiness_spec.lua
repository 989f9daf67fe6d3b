-- SPDX-License-Identifier: MIT
--
-- Readiness: whoever waits for a socket learns what has happened, however the kernel put it
-- together and whoever was looking at that time.

local lariat = require "lariat"
local net = require "spec.support.net"
local socket = require "socket"
local task = require "lariat.task"

local tcp_copy = require "socket.core".tcp_copy

-- A socket's own timeout would ask the kernel once more before it reports, and hide a missed event.
local function it_in_time(name, test)
  it(name, function()
    assert.is_true(task.timeout(10, function()
      test()
      return true
    end))
  end)
end

-- A pair whose first end has been waited for, so that the kernel reports on it.
local function watched_pair()
  local near, far = net.pair()
  local waiting = task.spawn(near.receive, near, 1)
  task.yield()
  far:send "x"
  assert.equal("x", (waiting:join()))
  return near, far
end

-- Lets the loop see everything that is under way.
local function turn_around()
  local near <close>, far = net.pair()
  far:send "x"
  near:receive(1)
  far:close()
end

describe("a socket that is watched", function()
  it_in_time("shows the end that came together with the last bytes", function()
    local near <close>, far = watched_pair()
    far:send "last"
    far:close()
    turn_around()
    assert.equal("last", near:receiveany())
    assert.same({ nil, "closed", "" }, { near:receiveany() })
  end)

  it_in_time("shows that end to one who has selected it before", function()
    local near <close>, far = watched_pair()
    far:send "last"
    far:close()
    assert.equal(1, #socket.select({ near }, nil))
    assert.equal("last", near:receiveany())
    assert.same({ nil, "closed", "" }, { near:receiveany() })
  end)

  it_in_time("shows a reset behind bytes that were not read", function()
    local near <close>, far = watched_pair()
    near:send "never read"
    far:send "last"
    turn_around()
    far:close()
    turn_around()
    local data, message
    repeat data, message = near:receiveany() until not data
    assert.equal("closed", message)
  end)

  it_in_time("keeps what came while nobody waited for it", function()
    local near <close>, peer = watched_pair()
    local far <close> = peer
    far:send "one"
    turn_around()
    far:send "two"
    turn_around()
    assert.equal("onetwo", near:receive(6))
    local waiting = task.spawn(near.receive, near, 5)
    turn_around()
    far:send "three"
    assert.equal("three", (waiting:join()))
  end)

  it_in_time("serves a reader and a writer who wait at once", function()
    local near <close>, peer = watched_pair()
    local far <close> = peer
    local big = ("b"):rep(8 * 1024 * 1024)
    local reading = task.spawn(near.receive, near, 5)
    local writing = task.spawn(near.send, near, big)
    turn_around()
    far:send "hello"
    assert.equal("hello", (reading:join()))
    assert.equal("waiting", writing:status())
    assert.equal(#big, #far:receive(#big))
    assert.equal(#big, (writing:join()))
  end)

  it_in_time("tells the next in line of an error that a select has seen and left", function()
    local gone = assert(socket.udp4())
    assert(gone:setsockname("127.0.0.1", 0))
    local host, port = gone:getsockname()
    gone:close()
    local udp <close> = assert(socket.udp4())
    assert(udp:setpeername(host, port))
    local selecting = task.spawn(function() return #socket.select({ udp }, nil) end)
    task.yield()
    local receiving = task.spawn(udp.receive, udp)
    task.yield()
    udp:send "to nobody"
    assert.equal(1, selecting:join())
    assert.same({ nil, "connection refused" }, { receiving:join() })
  end)
end)

describe("several tasks that wait for one socket", function()
  it_in_time("each accept one of the connections that came at once", function()
    local server <close> = assert(socket.bind("127.0.0.1", 0))
    local _, port = server:getsockname()
    local accepting = {}
    for i = 1, 3 do accepting[i] = task.spawn(server.accept, server) end
    turn_around()
    local clients = {}
    for i = 1, 3 do clients[i] = assert(socket.connect("127.0.0.1", port)) end
    for i = 1, 3 do assert(accepting[i]:join()):close() end
    for i = 1, 3 do clients[i]:close() end
  end)

  it_in_time("each receive one of the datagrams that came, in several batches, at once", function()
    local udp <close> = assert(socket.udp4())
    local sender <close> = assert(socket.udp4())
    assert(udp:setsockname("127.0.0.1", 0))
    local _, port = udp:getsockname()
    local receiving = {}
    for i = 1, 100 do receiving[i] = task.spawn(udp.receive, udp) end
    turn_around()
    for i = 1, 100 do sender:sendto(tostring(i), "127.0.0.1", port) end
    for i = 1, 100 do assert.equal(tostring(i), (receiving[i]:join())) end
  end)
end)

describe("a descriptor that others know", function()
  it_in_time("may be read by them, and is still watched", function()
    local near <close>, peer = watched_pair()
    local far <close> = peer
    local other <close> = assert(tcp_copy(near:getfd()))
    for _ = 1, 3 do
      far:send "theirs"
      assert.equal(1, #socket.select({ near }, nil))
      assert.equal("theirs", other:receive(6))
      assert.equal("timeout", (select(3, socket.select({ near }, nil, 0.01))))
      local waiting = task.spawn(near.receive, near, 4)
      turn_around()
      far:send "ours"
      assert.equal("ours", (waiting:join()))
    end
  end)

  it_in_time("may be given to another object, and taken back", function()
    local near <close>, peer = watched_pair()
    local far <close> = peer
    local other <close> = assert(socket.tcp4())
    local fd, own = near:getfd(), other:getfd()
    near:setfd(-1)
    other:setfd(fd)
    local waiting = task.spawn(socket.select, { other })
    turn_around()
    far:send "x"
    assert.equal(other, (waiting:join())[1])
    other:setfd(own)
    near:setfd(fd)
    assert.equal("x", near:receive(1))
    waiting = task.spawn(near.receive, near, 1)
    turn_around()
    far:send "y"
    assert.equal("y", (waiting:join()))
  end)

  it_in_time("is not watched any more once a child has it", function()
    local function watched()
      local n = 0
      for fd = 0, 200 do
        local file <close> = io.open("/proc/self/fdinfo/" .. fd)
        for _ in (file and file:read "a" or ""):gmatch "tfd:" do n = n + 1 end
      end
      return n
    end
    local near, far = watched_pair()
    local before = watched()
    local child <close> = assert(lariat.run { "cat", stdin = near })
    assert.equal(before - 1, watched())
    far:send "for the child"
    far:close()
    assert.equal("for the child", child.stdout:receive "*a")
  end)

  it_in_time("may be closed by them, and its number be a pipe's", function()
    local near <close>, peer = watched_pair()
    local fd, below = near:getfd(), {}
    repeat
      below[#below + 1] = assert(socket.udp4())
    until below[#below]:getfd() > fd
    local peer_of_child <close>, child_end = net.pair()
    local child <close> = assert(lariat.run { "true" })
    local pipe = child.stdout
    near:setfd(-1)
    pipe:setfd(fd) -- its own number has no owner any more, and stays open
    pipe:close() -- as a file, of which the sockets' side knows nothing
    local heir <close> = assert(lariat.run { "cat", stdin = child_end })
    assert.equal(fd, heir.stdout:getfd())
    child_end:close()
    local waiting = task.spawn(heir.stdout.receive, heir.stdout)
    turn_around()
    peer_of_child:send "through the pipe\n"
    assert.equal("through the pipe", (waiting:join()))
    for _, udp in ipairs(below) do udp:close() end
    peer:close()
  end)
end)
