-- SPDX-License-Identifier: MIT
--
-- LuaSocket's receive: its patterns, prefixes, partial results and timeouts; and several tasks on
-- one socket. receive_end_spec.lua has the ends of streams, receive_more_spec.lua what is more.

local net = require "spec.support.net"
local task = require "lariat.task"

describe("receive", function()
  local near, far -- the script's end, and the peer's

  before_each(function() near, far = net.pair() end)
  after_each(function()
    near:close()
    far:close()
  end)

  -- What the peer sends before it ends its side.
  local function given(bytes)
    if bytes ~= "" then assert(far:send(bytes)) end
    far:shutdown "send"
  end

  -- The peer sends `bytes` one at a time, each when the one before has been taken by the kernel.
  local function dribble(bytes)
    far:setoption("cork", false)
    return task.spawn(function()
      for i = 1, #bytes do
        assert(far:send(bytes, i, i))
        task.yield()
      end
      far:shutdown "send"
    end)
  end

  it("returns a line without its end by default", function()
    given "one\ntwo\n\nfour"
    assert.same({ "one", nil, nil }, { near:receive() })
    assert.equal(3, select("#", near:receive()))
    assert.equal("", near:receive())
    assert.same({ nil, "closed", "four" }, { near:receive() })
    assert.same({ nil, "closed", "" }, { near:receive() })
  end)

  for _, pattern in ipairs { "l", "*l", "line", "*line" } do
    it(("takes %q for a line"):format(pattern), function()
      given "one\r\ntwo\n"
      assert.equal("one", near:receive(pattern))
      assert.equal("two", near:receive(pattern))
    end)
  end

  for _, pattern in ipairs { "L", "*L" } do
    it(("takes %q for a line with its end"):format(pattern), function()
      given "one\r\ntwo\nthree"
      assert.equal("one\r\n", near:receive(pattern))
      assert.equal("two\n", near:receive(pattern))
      assert.same({ nil, "closed", "three" }, { near:receive(pattern) })
    end)
  end

  for _, pattern in ipairs { "a", "*a" } do
    it(("takes %q for all there will be"):format(pattern), function()
      given "one\r\ntwo\0three"
      assert.same({ "one\r\ntwo\0three", nil, nil }, { near:receive(pattern) })
      assert.same({ nil, "closed", "" }, { near:receive(pattern) })
    end)
  end

  it("of all from a peer that sends nothing is closed", function()
    given ""
    assert.same({ nil, "closed", "" }, { near:receive "*a" })
  end)

  it("takes a number of bytes", function()
    given "12345678"
    assert.equal("123", near:receive(3))
    assert.equal("45", near:receive "2")
    assert.same({ nil, "closed", "678" }, { near:receive(100) })
  end)

  it("of no bytes waits for the peer to say something", function()
    local waiting = task.spawn(near.receive, near, 0)
    task.yield()
    assert.equal("waiting", waiting:status())
    far:send "x"
    assert.equal("", waiting:join())
    assert.equal("x", near:receive(1))
    far:shutdown "send"
    assert.same({ nil, "closed", "" }, { near:receive(0) })
  end)

  it("with a pattern that makes no sense is a mistake", function()
    for _, pattern in ipairs { "x", "*x", "", "*", -1 } do
      assert.error_matches(function() near:receive(pattern) end, "bad argument #1 to 'receive'")
    end
    assert.error_matches(function() near:receive {} end, "bad argument #1 to 'receive'")
    assert.error_matches(function() near:receive("*l", {}) end, "bad argument #2 to 'receive'")
  end)

  it("puts the prefix in front of what it returns", function()
    given "one\ntwo\nthreefour"
    assert.equal(">one", near:receive("*l", ">"))
    assert.equal(">two\n", near:receive("*L", ">"))
    assert.equal(">>thr", near:receive(5, ">>")) -- the prefix counts as received
    assert.equal(">eefour", near:receive("*a", ">"))
    assert.same({ nil, "closed", ">" }, { near:receive("*l", ">") })
    assert.same({ "full", nil, nil }, { near:receive(4, "full") })
    assert.same({ "fuller", nil, nil }, { near:receive(4, "fuller") })
  end)

  it("continues a partial result given as prefix", function()
    far:send "begin"
    near:settimeout(0.01)
    local line, message, partial = near:receive()
    assert.same({ nil, "timeout", "begin" }, { line, message, partial })
    far:send " and end\n"
    near:settimeout(5)
    assert.equal("begin and end", near:receive("*l", partial))
  end)

  it("returns what has come when the time is up, for every pattern", function()
    near:settimeout(0)
    for _, pattern in ipairs { "*l", "*L", "*a", 100 } do
      assert.same({ nil, "timeout", "" }, { near:receive(pattern) })
      far:send "some\r"
      far:flush()
      local expected = pattern == "*l" and "some" or "some\r"
      assert.same({ nil, "timeout", expected }, { near:receive(pattern) })
    end
  end)

  it("with timeout 0 sees what was sent in the same turn", function()
    near:settimeout(0)
    for i = 1, 100 do
      far:send(i .. "\n")
      assert.equal(tostring(i), near:receive())
    end
  end)

  it("drops every CR of a line, and no other", function()
    given "a\r\nb\rc\r\r\n\r\n\rd\re\r\n\r"
    assert.equal("a", near:receive "*l")
    assert.equal("bc", near:receive "*l")
    assert.equal("", near:receive "*l")
    assert.equal("\rd\re\r\n", near:receive "*L")
    assert.same({ nil, "closed", "" }, { near:receive "*l" })
  end)

  it("passes every byte through as it is", function()
    local bytes = {}
    for i = 0, 255 do bytes[i + 1] = string.char(i) end
    local all = table.concat(bytes)
    given(all .. all)
    assert.equal(all, near:receive(256))
    assert.equal(all, near:receive "*a")
  end)

  it("assembles what a peer sends one byte at a time", function()
    local sender = dribble "one\r\ntwo\r\n12345rest"
    assert.equal("one", near:receive())
    assert.equal("two\r\n", near:receive "*L")
    assert.equal("12345", near:receive(5))
    assert.equal("rest", near:receive "*a")
    sender:join()
  end)

  it("serves many lines that came together, without waiting", function()
    local lines = {}
    for i = 1, 5000 do lines[i] = ("line %d"):format(i) end
    local sender = task.spawn(function() given(table.concat(lines, "\n") .. "\n") end)
    for i = 1, 5000 do assert.equal(lines[i], (near:receive())) end
    sender:join()
    assert.same({ nil, "closed", "" }, { near:receive() })
  end)

  it("returns a line longer than any buffer", function()
    local long = ("0123456789"):rep(100000)
    local sender = task.spawn(function() given(long .. "\nshort\n") end)
    assert.is_true(long == near:receive())
    assert.equal("short", near:receive())
    sender:join()
  end)

  it("keeps what is left over while other sockets receive", function()
    local other, peer = net.pair()
    for i = 1, 20 do
      far:send(("near %d\nagain %d\n"):format(i, i))
      peer:send(("other %d\nagain %d\n"):format(i, i))
      assert.equal("near " .. i, near:receive())
      assert.equal("other " .. i, other:receive())
      assert.equal("again " .. i, near:receive())
      assert.equal("again " .. i, other:receive())
    end
    other:close()
    peer:close()
  end)

  it("of all ends with what came before the timeout, and goes on", function()
    far:send "first"
    near:settimeout(0.01)
    assert.same({ nil, "timeout", "first" }, { near:receive "*a" })
    given "second"
    near:settimeout(5)
    assert.equal("second", near:receive "*a")
  end)
end)

describe("several tasks on one socket", function()
  it("a second receiver is turned away, the first is served", function()
    local near, far = net.pair()
    local first = task.spawn(near.receive, near)
    task.yield()
    assert.same({ nil, "socket busy reading" }, { near:receive() })
    for _, method in ipairs { "receiveany", "peek" } do
      assert.same({ nil, "socket busy reading" }, { near[method](near, 1) })
    end
    assert.error_matches(function()
      for _ in near:lines() do error "a line" end
      error "that was no end of the stream"
    end, "socket busy reading")
    far:send "for the first\n"
    assert.equal("for the first", first:join())
    far:send "free again\n"
    assert.equal("free again", near:receive())
    near:close()
    far:close()
  end)

  it("a cancelled receiver loses no bytes", function()
    local near, far = net.pair()
    for i = 1, 20 do
      local receiving = task.spawn(near.receive, near, 10)
      task.yield()
      far:send "12345"
      far:flush()
      for _ = 1, i % 4 do task.yield() end
      receiving:cancel()
      assert.same({ nil, "cancelled" }, { receiving:join() })
      far:send "67890"
      assert.equal("1234567890", near:receive(10))
    end
    near:close()
    far:close()
  end)

  it("one may receive while another sends", function()
    local near, far = net.pair()
    local receiving = task.spawn(near.receive, near)
    task.yield()
    assert.equal(3, near:send "up\n")
    assert.equal("up", far:receive())
    far:send "down\n"
    assert.equal("down", receiving:join())
    near:close()
    far:close()
  end)
end)
