-- SPDX-License-Identifier: MIT
--
-- Serving: a task a connection, errors that end nobody else, limits, and the ways to stop.

local lariat = require "lariat"
local net = require "spec.support.net"
local socket = require "socket"
local task = require "lariat.task"

local LARIAT = os.getenv "LARIAT" or "./lariat"

local function echo(conn)
  for line in conn:lines "L" do conn:send(line) end
end

local function connect(port)
  return assert(socket.connect("127.0.0.1", port))
end

local function ask(conn, text)
  conn:send(text .. "\n")
  return (conn:receive())
end

describe("a server", function()
  it("serves clients at the same time", function()
    local port, server <close> = net.server(echo)
    assert.is_table(server)
    local clients = {}
    for i = 1, 20 do clients[i] = connect(port) end
    for i = 20, 1, -1 do assert.equal("hello " .. i, ask(clients[i], "hello " .. i)) end
    for i = 1, 20 do clients[i]:close() end
  end)

  it("closes the connection when the handler returns", function()
    local kept
    local port, server <close> = net.server(function(conn)
      kept = conn
      conn:send "bye\n"
    end)
    assert.is_table(server)
    local client <close> = connect(port)
    assert.equal("bye", client:receive())
    assert.same({ nil, "closed", "" }, { client:receive() })
    assert.same({ nil, "closed", 0 }, { kept:send "x" })
  end)

  it("may have handlers that close their connection themselves", function()
    local port, server <close> = net.server(function(conn) conn:close() end)
    assert.is_table(server)
    for _ = 1, 3 do
      local client <close> = connect(port)
      assert.same({ nil, "closed", "" }, { client:receive() })
    end
  end)

  it("sets a timeout on each connection", function()
    local port, server <close> = net.server(function(conn)
      local _, message = conn:receive()
      conn:send(message .. "\n")
    end, { timeout = 0.01 })
    assert.is_table(server)
    local client <close> = connect(port)
    assert.equal("timeout", client:receive())
  end)

  it("serves no more than its limit at once, and the others later", function()
    local active, most = 0, 0
    local port, server <close> = net.server(function(conn)
      active = active + 1
      most = math.max(most, active)
      echo(conn)
      active = active - 1
    end, { limit = 2 })
    assert.is_table(server)
    local clients = {}
    for i = 1, 6 do
      clients[i] = connect(port)
      clients[i]:send(i .. "\n")
    end
    for i = 1, 6 do
      assert.equal(tostring(i), clients[i]:receive())
      clients[i]:close()
    end
    assert.equal(2, most)
  end)

  it("whose handler fails reports it to onerror and goes on", function()
    local errors = {}
    local before = lariat.onerror(function(err, traceback, title)
      errors[#errors + 1] = { err, traceback, title }
    end)
    local port, server <close> = net.server(function(conn)
      local line = conn:receive()
      if line == "fail" then error("it broke") end
      if line == "table" then error({ code = 7 }) end
      conn:send "fine\n"
    end, { name = "the shop" })
    local failing <close> = connect(port)
    assert.is_nil(ask(failing, "fail"))
    local odd <close> = connect(port)
    assert.is_nil(ask(odd, "table"))
    local client <close> = connect(port)
    assert.equal("fine", ask(client, "hello"))
    server()
    lariat.onerror(before)
    assert.equal(2, #errors)
    assert.matches("serve_spec.lua:%d+: it broke", errors[1][1])
    assert.matches("stack traceback", errors[1][2])
    assert.matches("the shop", errors[1][3])
    assert.equal(7, errors[2][1].code)
  end)

  -- Serves one client at a time, which `provoke` is given; what onerror is told of each.
  local function told(handler, options, provoke)
    local reports = {}
    local before = lariat.onerror(function(_, traceback, title)
      table.insert(reports, { traceback = traceback, title = title })
    end)
    local port, server <close> = net.server(handler, options)
    local client <close> = connect(port)
    local _, own = client:getsockname()
    provoke(client, server)
    server()
    lariat.onerror(before)
    return reports, ("127.0.0.1:%d"):format(own), ("127.0.0.1:%d"):format(port)
  end

  it("whose handler fails names the peer and the task", function()
    local reports, client, address = told(function() error "it broke" end, nil,
      function(conn) conn:receive() end)
    assert.equal(1, #reports)
    assert.equal(("error in handler of %s: task %s, peer %s"):format(address, address, client),
      reports[1].title)
    reports, client = told(function()
      task.current():name "its own name"
      error "it broke"
    end, { name = "the shop" }, function(conn) conn:receive() end)
    assert.equal("error in handler of the shop: task its own name, peer " .. client,
      reports[1].title)
  end)

  it("whose handler fails names a peer that has reset the connection", function()
    local reset = task.event()
    local reports, client = told(function(conn)
      reset:wait()
      repeat local line, message = conn:receive() until not line and message == "closed"
      assert.is_nil(conn:getpeername()) -- the kernel no longer says so
      error "it broke"
    end, nil, function(conn)
      conn:send "x\n"
      conn:flush()
      conn:setoption("linger", { on = true, timeout = 0 })
      conn:close()
      reset:set()
    end)
    assert.matches(", peer " .. client .. "$", reports[1].title)
  end)

  it("whose client says nothing in time is told in a line, without a traceback", function()
    local reports, client = told(function(conn)
      for line in conn:lines() do error(line) end
    end, { timeout = 0.01, name = "the shop" }, function(conn) conn:receive() end)
    assert.equal(1, #reports)
    assert.matches("^[^\n]*serve_spec.lua:%d+: timeout$", reports[1].traceback)
    assert.matches("^error in handler of the shop: .* peer " .. client, reports[1].title)
  end)

  it("whose handler fails otherwise in lines() has its traceback", function()
    local near, far = net.pair()
    local other = told(function()
      near:settimeout(0.01)
      for line in near:lines() do error(line) end -- no client of its own
    end, nil, function(conn) conn:receive() end)
    assert.matches("timeout\nstack traceback:", other[1].traceback)
    far:close()
    near:close()
    local lined = told(function(conn)
      for _ in conn:lines() do error "it broke" end
    end, { timeout = 9 }, function(conn) ask(conn, "x") end)
    assert.matches("it broke\nstack traceback:", lined[1].traceback)
  end)

  it("whose handler returns when nothing comes in time ends it quietly", function()
    local reports = told(function(conn)
      local line, message = conn:receive()
      assert.same({ nil, "timeout" }, { line, message })
    end, { timeout = 0.01 }, function(conn) conn:receive() end)
    assert.same({}, reports)
  end)

  it("whose handler fails reports it to stderr, and the exit status is 0", function()
    local child <close> = assert(lariat.run { LARIAT, "-e", [[
      local socket = require "socket"
      local server = assert(socket.bind("127.0.0.1", 0))
      print((select(2, server:getsockname())))
      io.stdout:flush()
      server:serve(function(conn)
        if conn:receive() == "stop" then return server:close() end
        error "it broke"
      end, { name = "the shop" })
    ]], stderr = "pipe" })
    local port = tonumber(child.stdout:receive())
    local failing <close> = connect(port)
    local _, own_port = failing:getsockname()
    assert.is_nil(ask(failing, "x"))
    local client <close> = connect(port)
    assert.is_nil(ask(client, "stop"))
    local output = child.stderr:receive "*a"
    assert.matches("error in handler of the shop: task the shop, peer 127.0.0.1:" .. own_port
      .. ": [^\n]*it broke\nstack traceback:", output)
    assert.same({ "exit", 0 }, { child:wait() })
  end)

  it("that is closed lets its handlers finish, then returns true", function()
    local server = assert(socket.bind("127.0.0.1", 0))
    local _, port = server:getsockname()
    local serving = task.spawn(server.serve, server, echo)
    local client = connect(port)
    assert.equal("one", ask(client, "one"))
    server:close()
    task.yield()
    task.yield()
    assert.equal("waiting", serving:status())
    assert.equal("two", ask(client, "two"))
    assert.same({ nil, "connection refused" }, { socket.connect("127.0.0.1", port) })
    client:close()
    assert.is_true((serving:join()))
  end)

  it("may be closed by a handler", function()
    local server = assert(socket.bind("127.0.0.1", 0))
    local _, port = server:getsockname()
    local serving = task.spawn(server.serve, server, function(conn)
      server:close()
      conn:send "last\n"
    end)
    local client <close> = connect(port)
    assert.equal("last", client:receive())
    assert.is_true((serving:join()))
  end)

  it("that is closed at its limit returns as well", function()
    local server = assert(socket.bind("127.0.0.1", 0))
    local _, port = server:getsockname()
    local serving = task.spawn(server.serve, server, echo, { limit = 1 })
    local client = connect(port)
    assert.equal("x", ask(client, "x"))
    server:close()
    client:close()
    assert.is_true((serving:join()))
  end)

  it("that is cancelled cancels its handlers and closes their connections", function()
    local server <close> = assert(socket.bind("127.0.0.1", 0))
    local _, port = server:getsockname()
    local unwound = 0
    local serving = task.spawn(server.serve, server, function(conn)
      local guard <close> = setmetatable({}, { __close = function() unwound = unwound + 1 end })
      assert(guard)
      echo(conn)
    end)
    local clients = {}
    for i = 1, 3 do
      clients[i] = connect(port)
      assert.equal("x", ask(clients[i], "x"))
    end
    serving:cancel()
    assert.same({ nil, "cancelled" }, { serving:join() })
    for i = 1, 3 do
      assert.same({ nil, "closed", "" }, { clients[i]:receive() })
      clients[i]:close()
    end
    assert.equal(3, unwound)
  end)

  it("has handlers whose task is always the same one, also for a weak table", function()
    local kept, seen = setmetatable({}, { __mode = "k" }), nil
    local port, server <close> = net.server(function(conn)
      kept[task.current()] = "mine"
      collectgarbage()
      conn:send(conn:receive() .. "\n")
      seen = kept[task.current()]
    end)
    local client <close> = connect(port)
    assert.equal("hello", ask(client, "hello"))
    assert.is_nil(client:receive())
    assert.equal("mine", seen)
    assert.is_table(server)
  end)

  it("has handlers of which none finds what an earlier one has left in its coroutine", function()
    local child <close> = assert(lariat.run { LARIAT, "-e", [[
      local socket, task = require "socket", require "lariat.task"
      local kept, met, lines = {}, {}, 0
      local ways = {
        function() kept[coroutine.running()] = true end,
        function() debug.sethook(coroutine.running(), function() lines = lines + 1 end, "l") end,
        function() debug.sethook(function() lines = lines + 1 end, "l") end,
        function() error "on purpose" end,
        function() task.current():name "renamed" end,
        function() end,
      }
      local function look(conn)
        local running = coroutine.running()
        local new = not kept[running] and not met[running] and not debug.gethook()
        met[running] = true
        conn:send(tostring(new and task.current():name() == "handler") .. "\n")
      end
      require "lariat".onerror(function(err)
        if not tostring(err):find "on purpose" then io.stderr:write(tostring(err), "\n") end
      end)
      local server = assert(socket.bind("127.0.0.1", 0))
      local _, port = server:getsockname()
      task.spawn(server.serve, server, function(conn)
        local what = conn:receive()
        if what == "look" then return look(conn) end
        ways[tonumber(what)]()
      end, { name = "handler" })
      for way = 1, #ways do
        for _, what in ipairs { "6", way, "look", "6", way, "6", "look" } do
          local conn <close> = assert(socket.connect("127.0.0.1", port))
          conn:send(what .. "\n")
          local answer = conn:receive()
          assert(what ~= "look" or answer == "true", "what an earlier one left was found: " .. way)
        end
      end
      local before = lines
      for _ = 1, 100 do task.yield() end
      assert(lines == before, "a hook has outlived the task it was set in")
      server:close()
    ]], stderr = "pipe" })
    assert.equal("", child.stderr:receive "*a" or "")
    assert.same({ "exit", 0 }, { child:wait() })
  end)

  it("has handlers that others may join, and that have a name and an end", function()
    local handler
    local listener = assert(socket.bind("127.0.0.1", 0))
    local _, port = listener:getsockname()
    local serving = task.spawn(listener.serve, listener, function(conn)
      handler = task.current()
      conn:receive()
    end, { name = "greeter" })
    local client = connect(port)
    while not handler do task.yield() end
    assert.equal("greeter", handler:name())
    assert.equal("waiting", handler:status())
    local joiner = task.spawn(handler.join, handler)
    task.yield()
    client:close()
    assert.equal(0, select("#", joiner:join()))
    collectgarbage()
    assert.equal("done", handler:status())
    assert.equal("greeter", handler:name())
    assert.is_false(handler:cancel())
    serving:cancel()
  end)

  it("that shares its listener with another has every second connection", function()
    local listener = assert(socket.bind("127.0.0.1", 0))
    local _, port = listener:getsockname()
    local served = { 0, 0 }
    for i = 1, 2 do
      task.spawn(listener.serve, listener, function() served[i] = served[i] + 1 end)
    end
    task.yield()
    local clients = {}
    for i = 1, 10 do clients[i] = connect(port) end
    for i = 1, 10 do assert.is_nil(clients[i]:receive()) end
    listener:close()
    assert.same({ 5, 5 }, served)
  end)

  it("with arguments that make no sense names them", function()
    local server <close> = assert(socket.bind("127.0.0.1", 0))
    assert.error_matches(function() server:serve() end, "bad argument #1 to 'serve'")
    assert.error_matches(function() server:serve(echo, { limit = 0 }) end, "'limit'")
    assert.error_matches(function() server:serve(echo, { timeout = "x" }) end, "'timeout'")
    assert.error_matches(function() socket.serve("127.0.0.1", 0) end, "bad argument #3 to 'serve'")
  end)

  it("goes on after its own accept has timed out", function()
    local server = assert(socket.bind("127.0.0.1", 0))
    server:settimeout(0.005)
    local _, port = server:getsockname()
    local serving = task.spawn(server.serve, server, echo)
    assert.same({ nil, "timeout" }, { serving:join(0.03) })
    local client = connect(port)
    assert.equal("x", ask(client, "x"))
    client:close()
    server:close()
    assert.is_true((serving:join()))
  end)

  it("serves ncat", function()
    local port, server <close> = net.server(echo)
    assert.is_table(server)
    local ncat <close> = assert(lariat.run { "ncat", "127.0.0.1", tostring(port),
      input = "one\ntwo\n" })
    assert.equal("one\ntwo\n", (ncat.stdout:receive "*a"))
    assert.same({ "exit", 0 }, { ncat:wait() })
  end)
end)

describe("socket.serve", function()
  it("binds and serves in one call", function()
    local free = assert(socket.bind("127.0.0.1", 0))
    local _, port = free:getsockname()
    free:close()
    local serving = task.spawn(socket.serve, "127.0.0.1", port, echo)
    task.yield()
    task.yield()
    local client <close> = connect(port)
    assert.equal("x", ask(client, "x"))
    serving:cancel()
    serving:join()
    assert.same({ nil, "closed", "" }, { client:receive() })
    assert.same({ nil, "connection refused" }, { socket.connect("127.0.0.1", port) })
  end)

  it("says why it cannot bind", function()
    local taken <close> = assert(socket.bind("127.0.0.1", 0))
    local _, port = taken:getsockname()
    assert.same({ nil, "address already in use" }, { socket.serve("127.0.0.1", port, echo) })
  end)
end)
