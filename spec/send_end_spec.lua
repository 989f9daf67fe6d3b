-- SPDX-License-Identifier: MIT
--
-- When what was sent goes out: corking, flush, and what shutdown and close do with what is pending.

local lariat = require "lariat"
local net = require "spec.support.net"
local socket = require "socket"
local task = require "lariat.task"

local LARIAT = os.getenv "LARIAT" or "./lariat"
local SCALE = tonumber(os.getenv "SCALE") or 1

local fill = net.fill

local function arrived(sock)
  return (net.kernel_queues(sock))
end

describe("output", function()
  local near, far

  before_each(function()
    near, far = net.pair()
    task.yield() -- a turn of its own: what is sent late in one is not held back
  end)

  after_each(function()
    near:close()
    far:close()
  end)

  it("leaves once 8 KiB have come together", function()
    for _ = 1, 3 do near:send(("x"):rep(4000)) end
    assert.equal(12000, arrived(far))
  end)

  it("leaves by itself when the task waits", function()
    for i = 1, 10 do near:send(i .. "\n") end
    local all = {}
    for i = 1, 10 do all[i] = i .. "\n" end
    assert.equal(table.concat(all), far:receive(21))
  end)

  it("of many tasks that wait for answers is in order with what another task adds", function()
    local pairs_of, asking = {}, {}
    for i = 1, 40 do pairs_of[i] = { net.pair() } end
    task.yield()
    for i, pair in ipairs(pairs_of) do
      asking[i] = task.spawn(function()
        pair[1]:send("question " .. i .. "\n")
        return (pair[1]:receive())
      end)
    end
    task.spawn(function()
      for _, pair in ipairs(pairs_of) do pair[1]:send "and one more\n" end
    end):join()
    for i, pair in ipairs(pairs_of) do
      assert.equal("question " .. i, (pair[2]:receive()))
      assert.equal("and one more", (pair[2]:receive()))
      pair[2]:send "answer\n"
      assert.equal("answer", asking[i]:join())
      pair[1]:close()
      pair[2]:close()
    end
  end)

  it("uncorked leaves at once", function()
    assert.is_true(near:getoption "cork")
    assert.equal(1, near:setoption("cork", false))
    assert.is_false(near:getoption "cork")
    near:send "now"
    assert.equal(3, arrived(far))
    assert.equal("now", far:receive(3))
  end)

  it("leaves at once with flush", function()
    near:send "some"
    assert.equal(1, near:flush())
    assert.equal(4, arrived(far))
    assert.equal(1, near:flush())
    assert.equal("some", far:receive(4))
  end)

  it("that is corked leaves when corking ends", function()
    near:send "some"
    near:setoption("cork", false)
    assert.equal(4, arrived(far))
    assert.equal("some", far:receive(4))
  end)

  it("leaves before select looks", function()
    near:send "x"
    local readable = socket.select({ far }, nil, 0)
    assert.equal(far, readable[1])
  end)

  it("leaves before the program ends by os.exit", function()
    local got
    local port, server <close> = net.server(function(conn) got = conn:receive "*a" end)
    local child <close> = assert(lariat.run { LARIAT, "-e", ([[
      local client = assert(require "socket".connect("127.0.0.1", %d))
      client:send "last words"
      os.exit(3)
    ]]):format(port) })
    assert.same({ "exit", 3 }, { child:wait() })
    server()
    assert.equal("last words", got)
  end)

  it("larger than any buffer arrives whole", function()
    local text = ("0123456789abcdef"):rep(4 * 1024 * 1024 // 16 // SCALE)
    local sending = task.spawn(function()
      assert(near:send("head "))
      assert(near:send(text))
      assert(near:send(" tail"))
      near:shutdown "send"
    end)
    assert.is_true("head " .. text .. " tail" == far:receive "*a")
    sending:join()
  end)

  it("is delivered before a shutdown", function()
    local taken = fill(near)
    assert.equal(1, near:shutdown "send")
    local data = far:receive "*a"
    assert.equal(taken, #data)
  end)

  it("is refused after a shutdown, even one that has not come to pass", function()
    local taken = fill(near)
    near:shutdown "send"
    assert.same({ nil, "closed", 0 }, { near:send "too late" })
    assert.equal(taken, #far:receive "*a")
    assert.same({ nil, "closed", 0 }, { near:send "too late" })
  end)

  it("is delivered after close", function()
    local taken = fill(near)
    near:close()
    assert.equal(taken, #far:receive "*a")
  end)

  it("is delivered after the script forgets the socket", function()
    local taken
    do
      local a, b = net.pair()
      taken = fill(a)
      far = b
      a = nil -- luacheck: ignore
    end
    collectgarbage()
    collectgarbage()
    assert.equal(taken, #far:receive "*a")
  end)

  it("small and corked is delivered after close", function()
    near:send "good"
    near:send "bye"
    near:close()
    assert.equal("goodbye", far:receive "*a")
  end)

  it("is discarded by close with linger 0, and the peer sees it", function()
    local taken = fill(near)
    near:setoption("linger", { on = true, timeout = 0 })
    near:close()
    assert.equal("closed", far:getoption "error") -- reset at once
    assert.is_true(#far:receive "*a" < taken)
  end)

  it("is delivered after the program ends", function()
    local child = { LARIAT, "-e", [[
      local socket = require "socket"
      local server = assert(socket.bind("127.0.0.1", 0))
      print((select(2, server:getsockname())))
      io.stdout:flush()
      local conn = assert(server:accept())
      conn:settimeout(0)
      local total = 0
      repeat
        local last, _, partial = conn:send(("x"):rep(65536))
        total = total + (last or partial)
      until not last
      print(total)
    ]] }
    local process <close> = assert(lariat.run(child))
    local client <close> = assert(socket.connect("127.0.0.1", tonumber(process.stdout:receive())))
    local total = tonumber(process.stdout:receive())
    assert.equal(total, #client:receive "*a")
    assert.same({ "exit", 0 }, { process:wait() })
  end)

  it("that a reset made undeliverable fails the next flush, and receive still reads", function()
    far:send "early reply\n"
    far:flush()
    far:setoption("linger", { on = true, timeout = 0 })
    assert.equal("early reply", near:receive())
    far:close()
    near:send "question\n"
    local ok, message = near:flush()
    assert.same({ nil, "closed" }, { ok, message })
    assert.equal(1, near:shutdown "send") -- it has been told
    assert.same({ nil, "closed", 0 }, { near:send "again" })
  end)
end)
