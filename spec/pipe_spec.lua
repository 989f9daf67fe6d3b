-- SPDX-License-Identifier: MIT
--
-- Copying from stream to stream: pipe one way, relay both.

local lariat = require "lariat"
local net = require "spec.support.net"
local program = require "spec.support.program"
local socket = require "socket"
local task = require "lariat.task"

local SCALE = tonumber(os.getenv "SCALE") or 1

-- source -> [left | right] -> sink: what is copied from left to right gets from source to sink.
local source, left, right, sink

local function open_chain()
  source, left = net.pair()
  right, sink = net.pair()
end

local function close_chain()
  for _, each in ipairs { source, left, right, sink } do each:close() end
end

local function numbers(size)
  local parts = {}
  for i = 1, size // 8 do parts[i] = ("%07d\n"):format(i) end
  return table.concat(parts)
end

describe("pipe", function()
  before_each(open_chain)
  after_each(close_chain)

  it("copies until the end, passes that on and says how much it was", function()
    local piping = task.spawn(left.pipe, left, right)
    source:send "hello "
    source:send "world"
    source:shutdown "send"
    assert.equal("hello world", sink:receive "*a")
    assert.same({ 11, n = 1 }, table.pack(piping:join()))
  end)

  it("copies what had been received and not read", function()
    source:send "line\nrest"
    source:shutdown "send"
    assert.equal("line", left:receive())
    assert.equal(4, left:pipe(right))
    assert.equal("rest", sink:receive "*a")
  end)

  it("comes after what was sent before", function()
    right:send "first "
    source:send "second"
    source:shutdown "send"
    assert.equal(6, left:pipe(right))
    assert.equal("first second", sink:receive "*a")
  end)

  it("ends when the stream it waits to read from is closed, and when the other one is", function()
    for _, closed in ipairs { "left", "right" } do
      local piping = task.spawn(left.pipe, left, right)
      task.yield();
      (closed == "left" and left or right):close()
      assert.same({ nil, "closed", 0 }, { piping:join() })
      close_chain()
      open_chain()
    end
  end)

  it("ends when the source is closed while it waits for a peer that does not read", function()
    local piping = task.spawn(left.pipe, left, right)
    source:settimeout(0)
    local block = ("x"):rep(1 << 20)
    repeat -- until neither the pipe nor the kernel takes more
      task.yield()
      local ok = source:send(block)
    until not ok
    left:close()
    local moved, message = piping:join()
    assert.same({ nil, "closed" }, { moved, message })
  end)

  it("leaves the way back open", function()
    source:shutdown "send"
    assert.equal(0, left:pipe(right))
    assert.same({ nil, "closed", "" }, { sink:receive() })
    sink:send "answer\n"
    assert.equal("answer", right:receive())
    left:send "relayed\n"
    assert.equal("relayed", source:receive())
  end)

  it("of megabytes to a slow reader loses nothing and keeps little", function()
    local text = numbers(2 * 1024 * 1024 // SCALE)
    for _, each in ipairs { source, left, right, sink } do
      each:setoption("send-buffer-size", 16384)
      each:setoption("recv-buffer-size", 16384)
    end
    local sending = task.spawn(function()
      assert(source:send(text))
      source:shutdown "send"
    end)
    local piping = task.spawn(left.pipe, left, right)
    for _ = 1, 20 do task.yield() end -- until every buffer on the way is full
    local received = left:getstats()
    assert.is_true(received < 400000, received .. " bytes for a sink that reads nothing")
    assert.equal("waiting", piping:status())
    assert.is_true(text == sink:receive "*a")
    assert.equal(#text, piping:join())
    sending:join()
  end)

  it("of much that is cancelled leaves to the next reader what it has not moved", function()
    local text = numbers(64 * 1024):rep(32)
    for _, each in ipairs { source, left, right, sink } do
      each:setoption("send-buffer-size", 65536)
      each:setoption("recv-buffer-size", 65536)
    end
    local sending = task.spawn(function()
      assert(source:send(text))
      source:shutdown "send"
    end)
    local piping = task.spawn(left.pipe, left, right)
    local moved = sink:receive(#text // 4)
    for _ = 1, 20 do task.yield() end -- until every buffer on the way is full
    piping:cancel()
    assert.same({ nil, "cancelled" }, { piping:join() })
    local reading = task.spawn(left.receive, left, "*a")
    right:shutdown "send"
    moved = moved .. sink:receive "*a"
    assert.is_true(text == moved .. reading:join())
    assert.same({ #text, #moved }, { left:getstats(), (select(2, right:getstats())) })
    sending:join()
  end)

  it("of much takes no descriptors for good", function()
    local function descriptors()
      local n = 0
      for fd = 0, 200 do
        local file <close> = io.open("/proc/self/fdinfo/" .. fd)
        n = n + (file and 1 or 0)
      end
      return n
    end
    local before
    local text = ("x"):rep(1024 * 1024)
    for round = 1, 5 do
      local sending = task.spawn(function()
        assert(source:send(text))
        source:shutdown "send"
      end)
      local reading = task.spawn(sink.receive, sink, "*a")
      assert.equal(#text, left:pipe(right))
      assert.equal(#text, #reading:join())
      sending:join()
      close_chain()
      open_chain()
      before = round == 1 and descriptors() or before
    end
    assert.equal(before, descriptors())
  end)

  it("of much goes on with no descriptor left", function()
    local script <close> = program.file [[
      local net = require "spec.support.net"
      local socket = require "socket"
      local task = require "lariat.task"
      local source, left = net.pair()
      local right, sink = net.pair()
      local taken = {}
      repeat taken[#taken + 1] = socket.udp4() until not socket.udp4()
      task.spawn(function()
        source:send(("x"):rep(1024 * 1024))
        source:shutdown "send"
      end)
      local reading = task.spawn(sink.receive, sink, "*a")
      print(left:pipe(right), #reading:join())
    ]]
    local child <close> = assert(lariat.run { "sh", "-c", 'ulimit -n 40; exec "$0" "$1"',
      program.path, script.path })
    assert.equal("1048576\t1048576\n", child.stdout:receive "*a")
  end)

  it("ends with the count when the destination resets", function()
    local piping = task.spawn(left.pipe, left, right)
    source:send "abc"
    assert.equal("abc", sink:receive(3))
    sink:setoption("linger", { on = true, timeout = 0 })
    sink:close()
    local moved, message, partial
    repeat
      source:send "more"
      source:flush()
      task.yield()
    until piping:status() ~= "waiting"
    moved, message, partial = piping:join()
    assert.same({ nil, "closed" }, { moved, message })
    assert.is_true(partial >= 3)
  end)

  it("tells that what was sent before it has met a reset", function()
    sink:setoption("linger", { on = true, timeout = 0 })
    sink:close()
    right:receive() -- the reset has come
    source:close()
    local moved, message = left:pipe(right)
    assert.same({ nil, "closed" }, { moved, message })
    assert.equal(1, right:shutdown "send")
  end)

  it("does not take a reset behind much data for the end", function()
    local piping = task.spawn(left.pipe, left, right)
    local text = numbers(1 << 20)
    local sending = task.spawn(source.send, source, text)
    assert.equal(#text, #sink:receive(#text))
    sending:join()
    source:setoption("linger", { on = true, timeout = 0 })
    source:close()
    assert.same({ nil, "closed", #text }, { piping:join() })
  end)

  it("ends when another task closes the source", function()
    local piping = task.spawn(left.pipe, left, right)
    task.yield()
    left:close()
    assert.same({ nil, "closed", 0 }, { piping:join() })
  end)

  it("times out by the source's timeout", function()
    left:settimeout(0.01)
    source:send "some"
    assert.same({ nil, "timeout", 4 }, { left:pipe(right) })
    assert.equal("some", sink:receive(4))
  end)

  it("keeps a second reader out", function()
    local piping = task.spawn(left.pipe, left, right)
    task.yield()
    assert.same({ nil, "socket busy reading" }, { left:receive() })
    source:send "x"
    source:shutdown "send"
    assert.equal(1, piping:join())
  end)

  it("from two sources into one destination gets everything through", function()
    local other, other_left = net.pair()
    local size = 4 * 1024 * 1024 // SCALE
    local text = ("x"):rep(size)
    local pipes = {}
    for i, each in ipairs { { source, left }, { other, other_left } } do
      task.spawn(function()
        each[1]:send(text)
        each[1]:close()
      end)
      pipes[i] = task.spawn(each[2].pipe, each[2], right)
    end
    -- Whoever ends first shuts the destination down, and the other one may fail then.
    local got = 0
    repeat
      local data = sink:receiveany(10000)
      got = got + #(data or "")
    until not data
    assert.is_true(got >= size)
    for i = 1, 2 do assert.is_true((pipes[i]:join() or size) >= 0) end
    other_left:close()
  end)

  it("to what is no stream is a mistake", function()
    assert.error_matches(function() left:pipe() end, "bad argument #1 to 'pipe'")
    assert.error_matches(function() left:pipe {} end, "bad argument #1 to 'pipe'")
    local server <close> = assert(socket.bind("127.0.0.1", 0))
    assert.error_matches(function() left:pipe(server) end, "bad argument #1 to 'pipe'")
    right:close()
    assert.same({ nil, "closed", 0 }, { left:pipe(right) })
  end)
end)

describe("relay", function()
  before_each(open_chain)
  after_each(close_chain)

  it("copies both ways and counts each", function()
    local relaying = task.spawn(socket.relay, left, right)
    source:send "question\n"
    assert.equal("question", sink:receive())
    sink:send "answer!\n"
    assert.equal("answer!", source:receive())
    source:shutdown "send"
    assert.same({ nil, "closed", "" }, { sink:receive() })
    sink:send "after the end\n" -- half closed: the other half goes on
    assert.equal("after the end", source:receive())
    sink:close()
    assert.same({ nil, "closed", "" }, { source:receive() })
    assert.same({ 9, 22 }, { relaying:join() })
  end)

  it("whose second end finishes first goes on the same way", function()
    local relaying = task.spawn(socket.relay, left, right)
    sink:shutdown "send"
    assert.same({ nil, "closed", "" }, { source:receive() })
    source:send "still\n"
    assert.equal("still", sink:receive())
    source:close()
    assert.same({ 6, 0 }, { relaying:join() })
  end)

  it("moves megabytes in both directions at once", function()
    local text = numbers(4 * 1024 * 1024 // SCALE)
    local relaying = task.spawn(socket.relay, left, right)
    for _, each in ipairs { source, sink } do
      task.spawn(function()
        each:send(text)
        each:shutdown "send"
      end)
    end
    local reading = task.spawn(source.receive, source, "*a")
    assert.is_true(text == sink:receive "*a")
    assert.is_true(text == reading:join())
    assert.same({ #text, #text }, { relaying:join() })
  end)

  for name, dying in pairs { first = "source", second = "sink" } do
    it(("ends when the %s peer resets and the other is silent"):format(name), function()
      local relaying = task.spawn(socket.relay, left, right)
      local peer = dying == "source" and source or sink
      task.yield()
      peer:setoption("linger", { on = true, timeout = 0 })
      peer:close()
      assert.same({ nil, "closed" }, { relaying:join(5) })
    end)
  end

  it("that is cancelled stops both ways", function()
    local relaying = task.spawn(socket.relay, left, right)
    task.yield()
    relaying:cancel()
    assert.same({ nil, "cancelled" }, { relaying:join() })
    source:send "to nobody but us\n"
    assert.equal("to nobody but us", left:receive())
    sink:send "same here\n"
    assert.equal("same here", right:receive())
  end)

  it("whose time is up has left both streams to others when it returns", function()
    assert.same({ nil, "deadline" }, { task.timeout(0.01, socket.relay, left, right) })
    for _, stream in ipairs { left, right } do
      stream:settimeout(0)
      assert.same({ nil, "timeout", "" }, { stream:receive() })
      stream:settimeout(nil)
    end
    source:send "not relayed\n"
    assert.equal("not relayed", left:receive())
  end)

  it("forwards what curl asks of a web server", function()
    local body = ("0123456789"):rep(100000)
    local port, web <close> = net.server(function(conn)
      repeat local line = conn:receive() until line == "" or not line
      conn:send { "HTTP/1.0 200 OK\r\nContent-Length: ", #body, "\r\n\r\n", body }
    end)
    local forwarded, forwarder <close> = net.server(function(conn)
      local upstream <close> = assert(socket.connect("127.0.0.1", port))
      socket.relay(conn, upstream)
    end)
    assert.is_true(web ~= forwarder)
    local curl <close> = assert(lariat.run { "curl", "-s", "--max-time", "8",
      ("http://127.0.0.1:%d/"):format(forwarded) })
    assert.is_true(body == curl.stdout:receive "*a")
    assert.same({ "exit", 0 }, { curl:wait() })
  end)
end)
