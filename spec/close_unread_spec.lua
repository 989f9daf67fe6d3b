-- SPDX-License-Identifier: MIT
--
-- What close owes to a peer: all that was sent and a clean end, also if the peer had sent what
-- nobody read; and that it makes nobody wait for it, whatever SO_LINGER says.

local lariat = require "lariat"
local net = require "spec.support.net"
local socket = require "socket"
local task = require "lariat.task"

local LARIAT = os.getenv "LARIAT" or "./lariat"

local ANSWER = ("0123456789"):rep(30000) -- 300 kB: more than a peer's window

local fill = net.fill

local function unix_pair()
  local path = os.tmpname()
  os.remove(path)
  local server <close> = assert(socket.bind("unix:" .. path))
  local client = assert(socket.connect("unix:" .. path))
  local conn = assert(server:accept())
  os.remove(path)
  return client, conn
end

-- Sends a request, waits until it lies in the peer's kernel, unread.
local function request(client, conn, text)
  client:send(text)
  client:flush()
  local ready = socket.select({ conn }, nil)
  assert.equal(conn, ready[1])
end

local PAIRS = { tcp = net.pair, unix = unix_pair }

describe("an answer that is sent before the request was read", function()
  for family, pair in pairs(PAIRS) do
    it("arrives whole, with its end, over " .. family, function()
      for size = 1, #ANSWER, #ANSWER - 1 do
        local client, conn <close> = pair()
        request(client, conn, "unread\n")
        local sending = task.spawn(function()
          assert.equal(size, conn:send(ANSWER:sub(1, size)))
          conn:close()
        end)
        assert.is_true(ANSWER:sub(1, size) == client:receive "*a")
        assert.same({ nil, "closed", "" }, { client:receive() })
        sending:join()
        client:close()
      end
    end)

    it("arrives whole if the rest of the request comes later, over " .. family, function()
      local client, conn = pair()
      local answer = family == "tcp" and ANSWER or ANSWER:sub(1, 100000) -- what the kernel holds
      client:send "head\nbody"
      assert.equal("head", conn:receive())
      assert.equal(#answer, conn:send(answer))
      conn:close()
      for _ = 1, 20 do
        assert(client:send(("more"):rep(10000)))
        assert(client:flush())
      end
      assert.is_true(answer == client:receive "*a")
      client:close()
    end)
  end

  it("arrives whole if the rest of the request came while the answer was made", function()
    for _, how in ipairs { "waiting elsewhere", "computing" } do
      local client, conn = net.pair()
      client:send "head\n"
      client:flush()
      assert.equal("head", conn:receive())
      client:send "body"
      client:flush()
      if how == "computing" then
        local stop = socket.gettime() + 0.05
        while socket.gettime() < stop do end
      else
        repeat task.yield() until net.kernel_queues(conn) == 4
      end
      assert.equal(6, conn:send "answer")
      conn:close()
      assert.equal("answer", client:receive "*a", how)
      client:close()
    end
  end)

  it("arrives whole however the connection is closed", function()
    local ways = {
      ["a <close> variable"] = function(conn) local _ <close> = conn end,
      ["the collector"] = function() end,
      ["the handler's return"] = "serve",
      ["a cancelled task"] = function(conn)
        local closing = task.spawn(function()
          local _ <close> = conn
          task.event():wait()
        end)
        task.yield()
        closing:cancel()
        closing:join()
      end,
    }
    for name, close in pairs(ways) do
      local server = assert(socket.bind("127.0.0.1", 0))
      local host, port = server:getsockname()
      local client = assert(socket.connect(host, port))
      client:send "unread\n"
      client:flush()
      local function answer(conn)
        socket.select({ conn }, nil)
        assert.equal(#ANSWER, conn:send(ANSWER))
      end
      local serving
      if close == "serve" then
        serving = task.spawn(server.serve, server, answer)
      else
        task.spawn(function()
          local conn = server:accept()
          answer(conn)
          close(conn)
        end):join()
        collectgarbage()
        collectgarbage()
      end
      assert.is_true(ANSWER == client:receive "*a", name)
      client:close()
      server:close()
      if serving then serving:join() end
    end
  end)

  for name, ending in pairs {
    ["its end"] = "",
    ["os.exit"] = "os.exit(0)",
    ["an error of the script"] = "error 'on purpose'",
  } do
    it("arrives whole though the program ends by " .. name, function()
      local child <close> = assert(lariat.run { LARIAT, "-e", ([[
        local socket = require "socket"
        local server = assert(socket.bind("127.0.0.1", 0))
        print((select(2, server:getsockname())))
        io.stdout:flush()
        local conn = assert(server:accept())
        socket.select({ conn }, nil)
        conn:send(("0123456789"):rep(30000))
        %s
      ]]):format(ending), stderr = "null" })
      local client <close> = assert(socket.connect("127.0.0.1", tonumber(child.stdout:receive())))
      client:send "unread\n"
      client:flush()
      assert.equal("exit", (child:wait()))
      assert.is_true(ANSWER == client:receive "*a")
    end)
  end

  it("does not keep the program from ending when the peer neither reads nor ends", function()
    local server <close> = assert(socket.bind("127.0.0.1", 0))
    local _, port = server:getsockname()
    local child <close> = assert(lariat.run { LARIAT, "-e", ([[
      local socket = require "socket"
      local client = assert(socket.connect("127.0.0.1", %d))
      client:send "question"
      client:flush()
      socket.select({ client }, nil)
    ]]):format(port) })
    local conn <close> = assert(server:accept())
    assert.equal("question", conn:receive(8))
    conn:send "unread"
    conn:flush()
    assert.same({ "exit", 0 }, { child:wait(4) })
  end)

  it("is not waited for if nothing was sent: the peer sees a reset at once", function()
    local client, conn = net.pair()
    request(client, conn, "unread")
    conn:close()
    assert.same({ nil, "closed", "" }, { client:receive() })
    assert.same({ nil, "closed", 0 }, { client:send "x" })
    client:close()
  end)

  it("does not take from a child what is the child's to read", function()
    local client, conn = net.pair()
    conn:send "hello\n"
    assert.equal("hello", client:receive())
    request(client, conn, "for the child\n")
    local child <close> = assert(lariat.run { "cat", stdin = conn, stdout = conn })
    assert.equal("for the child", client:receive())
    client:shutdown "send"
    assert.same({ "exit", 0 }, { child:wait() })
    client:close()
  end)
end)

describe("a peer that sends without end", function()
  it("is discarded within a limit, and then reset", function()
    local client, conn = net.pair()
    request(client, conn, "unread")
    assert.equal(6, conn:send "answer")
    conn:close()
    local sent, chunk = 0, ("x"):rep(1 << 20)
    repeat
      local last = client:send(chunk)
      sent = sent + #chunk
    until not last or sent > 256 << 20
    assert.is_true(sent <= 256 << 20)
    assert.equal("answer", client:receive(6))
    client:close()
  end)
end)

describe("SO_LINGER", function()
  local HOUR <const> = { on = true, timeout = 3600 } -- who waits for it is ended by the time limit

  for _, pending in ipairs { "in the kernel", "in the kernel and here" } do
    it("with a time does not block close, with output pending " .. pending, function()
      local client, conn = net.pair()
      assert.equal(1, client:setoption("linger", HOUR))
      local total
      if pending == "in the kernel" then
        client:settimeout(0)
        total = client:send(ANSWER)
        assert.equal(#ANSWER, total)
      else
        total = fill(client)
      end
      client:close()
      assert.equal(total, #conn:receive "*a")
      conn:close()
    end)
  end

  it("is inherited by accepted sockets, and does not block their close either", function()
    local server <close> = assert(socket.bind("127.0.0.1", 0))
    assert.equal(1, server:setoption("linger", HOUR))
    local host, port = server:getsockname()
    local client = assert(socket.connect(host, port))
    local conn = assert(server:accept())
    assert.same(HOUR, conn:getoption "linger")
    conn:settimeout(0)
    assert.equal(#ANSWER, conn:send(ANSWER))
    conn:close()
    assert.is_true(ANSWER == client:receive "*a")
    client:close()
  end)

  for name, ending in pairs { ["its end"] = "", ["os.exit"] = "os.exit(0)" } do
    it("with a time does not block a program that ends by " .. name, function()
      local server <close> = assert(socket.bind("127.0.0.1", 0))
      local _, port = server:getsockname()
      local child <close> = assert(lariat.run { LARIAT, "-e", ([[
        local conn = assert(require "socket".connect("127.0.0.1", %d))
        conn:setoption("linger", { on = true, timeout = 3600 })
        conn:send(("0123456789"):rep(30000))
        %s
      ]]):format(port, ending) })
      local conn = assert(server:accept())
      assert.same({ "exit", 0 }, { child:wait() })
      assert.is_true(ANSWER == conn:receive "*a")
      conn:close()
    end)
  end

  it("with a time ends the delivery after it, and the peer sees that it was cut", function()
    local client, conn = net.pair()
    client:setoption("linger", { on = true, timeout = 1 })
    local total = fill(client)
    client:close()
    repeat until not conn:send(("x"):rep(65536)) -- which is discarded, until the reset
    assert.is_true(#(select(3, conn:receive "*a") or "") < total)
    conn:close()
  end)

  it("of no time discards and resets", function()
    local client, conn = net.pair()
    local total = fill(client)
    client:setoption("linger", { on = true, timeout = 0 })
    client:close()
    assert.equal("closed", conn:getoption "error")
    assert.is_true(#(select(3, conn:receive "*a") or "") < total)
    conn:close()
  end)

  it("of unix streams does no harm", function()
    local client, conn = unix_pair()
    client:setoption("linger", HOUR)
    local total = fill(client)
    client:close()
    assert.equal(total, #conn:receive "*a")
    conn:close()
  end)
end)

describe("the pipe of a child", function()
  it("that is closed delivers what was sent, and takes nothing for it", function()
    local child <close> = assert(lariat.run { "sh", "-c", "sleep 0.1; wc -c", stdin = "pipe" })
    local total = fill(child.stdin)
    child.stdin:close()
    assert.equal(total, tonumber(child.stdout:receive()))
    assert.same({ "exit", 0 }, { child:wait() })
  end)
end)
