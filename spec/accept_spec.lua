-- SPDX-License-Identifier: MIT
--
-- Accepting: who gets a connection, and what ends the wait for one.

local lariat = require "lariat"
local socket = require "socket"
local task = require "lariat.task"

local LARIAT = os.getenv "LARIAT" or "./lariat"
local SCALE = tonumber(os.getenv "SCALE") or 1

local function listen()
  local server = assert(socket.bind("127.0.0.1", 0, 128))
  return server, select(2, server:getsockname())
end

-- Lets every task that is ready run until it waits.
local function settle() task.yield() end

describe("accept", function()
  it("waits for a client without holding up its peer", function()
    local server, port = listen()
    local _ <close> = server
    local acceptor = task.spawn(server.accept, server)
    settle()
    assert.equal("waiting", acceptor:status())
    local client <close> = assert(socket.connect("127.0.0.1", port))
    local accepted <close> = assert(acceptor:join())
    assert.equal("tcp{client}", accepted.class)
    assert.same({ client:getsockname() }, { accepted:getpeername() })
  end)

  it("gives waiting acceptors their clients in the order they came", function()
    local server, port = listen()
    local _ <close> = server
    local order, acceptors, clients = {}, {}, {}
    for i = 1, 5 do
      acceptors[i] = task.spawn(function()
        local conn <close> = assert(server:accept())
        order[#order + 1] = i
        conn:send(i .. "\n")
      end)
    end
    settle()
    for i = 1, 5 do clients[i] = assert(socket.connect("127.0.0.1", port)) end
    for i = 1, 5 do
      acceptors[i]:join()
      assert.equal(tostring(i), clients[i]:receive())
      clients[i]:close()
    end
    assert.same({ 1, 2, 3, 4, 5 }, order)
  end)

  it("lets nobody who comes later go before those who wait", function()
    local server, port = listen()
    local _ <close> = server
    local first = task.spawn(server.accept, server)
    settle()
    local one <close> = assert(socket.connect("127.0.0.1", port))
    local second = task.spawn(server.accept, server) -- comes late
    local two <close> = assert(socket.connect("127.0.0.1", port))
    local a <close> = assert(first:join())
    local b <close> = assert(second:join())
    assert.same({ one:getsockname() }, { a:getpeername() })
    assert.same({ two:getsockname() }, { b:getpeername() })
  end)

  it("takes what has queued up before anybody asked, in order", function()
    local server, port = listen()
    local _ <close> = server
    local clients = {}
    for i = 1, 10 do clients[i] = assert(socket.connect("127.0.0.1", port)) end
    for i = 1, 10 do
      local accepted <close> = assert(server:accept())
      assert.same({ clients[i]:getsockname() }, { accepted:getpeername() })
      clients[i]:close()
    end
  end)

  it("times out and can be called again", function()
    local server, port = listen()
    local _ <close> = server
    server:settimeout(0)
    assert.same({ nil, "timeout" }, { server:accept() })
    server:settimeout(0.01)
    assert.same({ nil, "timeout" }, { server:accept() })
    server:settimeout(0)
    local client <close> = assert(socket.connect("127.0.0.1", port))
    local accepted <close> = assert(server:accept())
    assert.same({ client:getsockname() }, { accepted:getpeername() })
  end)

  it("gives its clients no timeout of their own", function()
    local server, port = listen()
    local _ <close> = server
    server:settimeout(3, "t")
    server:settimeout(5)
    local client <close> = assert(socket.connect("127.0.0.1", port))
    local accepted <close> = assert(server:accept())
    assert.same({ -1, -1 }, { accepted:gettimeout() })
    assert.same({ -1, -1 }, { client:gettimeout() })
  end)

  it("of every waiting task ends when another task closes the server", function()
    local server = listen()
    local one, two = task.spawn(server.accept, server), task.spawn(server.accept, server)
    settle()
    server:close()
    assert.same({ nil, "closed" }, { one:join() })
    assert.same({ nil, "closed" }, { two:join() })
    assert.same({ nil, "closed" }, { server:accept() })
  end)

  it("that is cancelled leaves the client to the next in line", function()
    local server, port = listen()
    local _ <close> = server
    local first, second = task.spawn(server.accept, server), task.spawn(server.accept, server)
    settle()
    local client <close> = socket.tcp()
    client:settimeout(0) -- connects, and lets no other task run meanwhile
    client:connect("127.0.0.1", port)
    first:cancel()
    local accepted <close> = assert(second:join())
    assert.same({ nil, "cancelled" }, { first:join() })
    assert.same({ client:getsockname() }, { accepted:getpeername() })
  end)

  it("returns a client that has come, spoken and gone", function()
    local server, port = listen()
    local _ <close> = server
    local client = assert(socket.connect("127.0.0.1", port))
    client:send "was here\n"
    client:close()
    local accepted <close> = assert(server:accept())
    assert.equal("was here", accepted:receive())
    assert.same({ nil, "closed", "" }, { accepted:receive() })
  end)

  it("on what does not listen is a mistake", function()
    local master <close> = socket.tcp4()
    assert.error_matches(function() master:accept() end, "tcp{server} expected")
  end)

  it("takes a crowd as fast as it comes", function()
    local server, port = listen()
    local _ <close> = server
    local total = 2000 // SCALE
    local accepting = task.spawn(function()
      local seen = 0
      while seen < total do
        local conn = assert(server:accept())
        seen = seen + 1
        conn:send(seen .. "\n")
        conn:close()
      end
      return seen
    end)
    local sum = 0
    for _ = 1, total do
      local client <close> = assert(socket.connect("127.0.0.1", port))
      sum = sum + tonumber(client:receive())
    end
    assert.equal(total, accepting:join())
    assert.equal(total * (total + 1) // 2, sum)
  end)
end)

describe("a listener that somebody else opened", function()
  it("holds nobody up, though it came as a blocking one", function()
    local server = assert(socket.bind("127.0.0.1", 0))
    local _, port = server:getsockname()
    local child <close> = assert(lariat.run { LARIAT, "-e", [[
      local socket = require "socket"
      local server = assert(socket.tcp())
      server:setfd(0) -- as systemd and inetd pass one
      assert(server:listen())
      server:settimeout(0.01)
      print((select(2, server:accept())))
      io.stdout:flush()
      server:settimeout(nil)
      local conn = assert(server:accept())
      conn:send(conn:receive "*L")
    ]], stdin = server })
    assert.equal("timeout", child.stdout:receive())
    local client <close> = assert(socket.connect("127.0.0.1", port))
    assert(client:send "through\n")
    assert.equal("through", client:receive())
    assert.same({ "exit", 0 }, { child:wait() })
  end)
end)

describe("a server out of memory", function()
  it("closes the connection that it can make no object for", function()
    if os.getenv "ASAN_OPTIONS" then return end -- the sanitizer itself needs more than the limit
    local child <close> = assert(lariat.run { "sh", "-c", 'ulimit -v 60000; exec "$0" -e "$1"',
      LARIAT, [[
      local socket = require "socket"
      local server = assert(socket.bind("127.0.0.1", 0))
      local client = assert(socket.connect("127.0.0.1", (select(2, server:getsockname()))))
      client:settimeout(5)
      local accept, rep, n, held = server.accept, string.rep, 0, {}
      for i = 1, 1e5 do held[i] = false end
      local function fill(size)
        local ok, text = true, nil
        while ok do
          ok, text = pcall(rep, "x", size)
          n = n + 1
          held[n] = text
        end
      end
      for exponent = 24, 9, -1 do fill(1 << exponent) end
      for size = 240, 41, -8 do fill(size) end
      local _, message = pcall(accept, server)
      held = nil
      print(message)
      print((select(2, client:receive())))
    ]] })
    assert.equal("not enough memory\nclosed\n", (child.stdout:receive "*a"))
    assert.same({ "exit", 0 }, { child:wait() })
  end)
end)

describe("a server out of descriptors", function()
  -- Clients in this process; the server in a child that may open few descriptors.
  local function start(script)
    local command = ("ulimit -n 20 && exec '%s' -e '%s'"):format(LARIAT, script)
    local child = assert(lariat.run { "sh", "-c", command, stdin = "pipe" })
    return child, assert(tonumber(child.stdout:receive()))
  end

  it("is told so by accept, and serves again once there are some", function()
    local child, port = start [[
      local socket = require "socket"
      local server = assert(socket.bind("127.0.0.1", 0, 128))
      print((select(2, server:getsockname())))
      io.stdout:flush()
      local held, conn, message = {}
      repeat
        conn, message = server:accept()
        held[#held + 1] = conn
      until not conn
      print(message)
      io.stdout:flush()
      io.read() -- go on
      for _, each in ipairs(held) do each:close() end
      conn = assert(server:accept())
      conn:send "served\n"
    ]]
    local _ <close> = child
    local clients = {}
    for i = 1, 30 do clients[i] = assert(socket.connect("127.0.0.1", port)) end
    assert.equal("Too many open files", child.stdout:receive())
    child.stdin:send "\n"
    local served = 0
    for _, client in ipairs(clients) do
      if client:receive() == "served" then served = served + 1 end
      client:close()
    end
    assert.equal(1, served)
    assert.same({ "exit", 0 }, { child:wait() })
  end)

  it("backs off in serve and recovers when clients go", function()
    local child, port = start [[
      local socket = require "socket"
      local server = assert(socket.bind("127.0.0.1", 0, 128))
      print((select(2, server:getsockname())))
      io.stdout:flush()
      server:serve(function(conn)
        for line in conn:lines() do
          if line == "stop" then server:close() end
          conn:send(line .. "\n")
        end
      end)
      print "ended"
    ]]
    local _ <close> = child
    local clients = {}
    for i = 1, 30 do
      clients[i] = assert(socket.connect("127.0.0.1", port))
      clients[i]:send "hello\n"
    end
    -- The last of them are served only because the first have gone.
    for i = 1, 30 do
      assert.equal("hello", clients[i]:receive())
      clients[i]:close()
    end
    local last <close> = assert(socket.connect("127.0.0.1", port))
    last:send "stop\n"
    assert.equal("stop", last:receive())
    last:close()
    assert.equal("ended", child.stdout:receive())
    assert.same({ "exit", 0 }, { child:wait() })
  end)
end)
