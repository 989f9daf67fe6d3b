-- SPDX-License-Identifier: MIT
--
-- What a system call or an allocation that fails does to who needed it, and to nobody else.

local faults = require "spec.support.faults"

-- The lines that a script prints, which does nothing else and ends well.
local function lines_of(script)
  local out, err, status = faults.run(script)
  assert.same({ "", 0 }, { err, status })
  local lines = {}
  for line in out:gmatch "[^\n]+" do lines[#lines + 1] = line end
  return lines
end

describe("serving while accept fails", function()
  it("goes on after what is the connection's or the machine's matter", function()
    assert.same({ "all served", "true" }, lines_of [[
      lariat.onerror(function() end)
      local server = assert(socket.bind("127.0.0.1", 0))
      local _, port = server:getsockname()
      local serving = task.spawn(server.serve, server, function(conn) conn:send "served\n" end)
      for _, name in ipairs { "EMFILE", "ENFILE", "ENOMEM", "ENOBUFS", "ENETDOWN", "EHOSTUNREACH",
        "ENETUNREACH", "ENOPROTOOPT", "EOPNOTSUPP", "EPROTO", "EPERM", "ETIMEDOUT" } do
        faults.fail("accept4", errno[name], 2)
        local conn <close> = assert(socket.connect("127.0.0.1", port))
        conn:settimeout(5)
        assert(conn:receive() == "served", name)
        assert(faults.stop() == 2, name)
      end
      print "all served"
      server:close()
      print(serving:join())
    ]])
  end)

  it("ends, and says why, if the listener is the matter", function()
    assert.same({ "nil\tInvalid argument" }, lines_of [[
      local server = assert(socket.bind("127.0.0.1", 0))
      local _, port = server:getsockname()
      faults.fail("accept4", errno.EINVAL, 1)
      print(server:serve(print))
    ]])
  end)
end)

describe("serving while there are no descriptors", function()
  it("says what is missing, once until that changes", function()
    assert.same({ "too many open files in system", "too many open files (ulimit -n)",
      "too many open files in system", "true" }, lines_of [[
      local server = assert(socket.bind("127.0.0.1", 0))
      local _, port = server:getsockname()
      local said = task.channel(math.huge)
      lariat.onerror(function(message, _, title)
        assert(title == ("127.0.0.1:%d cannot accept"):format(port), title)
        said:send(message:lower():match "^(.*);")
      end)
      local serving = task.spawn(server.serve, server, function(conn) conn:send "served\n" end)
      local function failing(name, times)
        faults.fail("accept4", errno[name], times)
        local conn <close> = assert(socket.connect("127.0.0.1", port))
        assert(conn:receive() == "served")
      end
      faults.fail("accept4", errno.ENFILE, 3)
      local first <close> = assert(socket.connect("127.0.0.1", port))
      print((said:receive()))
      failing("EMFILE", 3)
      print((said:receive()))
      failing("ENFILE", 2)
      print((said:receive()))
      assert(said:size() == 0)
      server:close()
      print(serving:join())
    ]])
  end)

  it("notices at once that the server is closed", function()
    assert.same({ "true" }, lines_of [[
      local server = assert(socket.bind("127.0.0.1", 0))
      local _, port = server:getsockname()
      local said = task.event()
      lariat.onerror(function() said:set() end)
      local serving = task.spawn(server.serve, server, print)
      faults.fail("accept4", errno.EMFILE, math.maxinteger)
      local conn <close> = assert(socket.connect("127.0.0.1", port))
      said:wait()
      server:close()
      for _ = 1, 3 do task.yield() end
      print(serving:status() == "done" and serving:join())
    ]])
  end)
end)

describe("serving without memory", function()
  it("counts no handler that could not begin, and closes its connection", function()
    local out, err, status = faults.run [[
      local unserved = 0
      local function handler(conn) conn:send "served\n" end
      for after = 0, 100 do
        local server = assert(socket.bind("127.0.0.1", 0))
        local _, port = server:getsockname()
        local serving = task.spawn(pcall, server.serve, server, handler, { limit = 1 })
        task.yield()
        local first <close> = assert(socket.connect("127.0.0.1", port))
        first:settimeout(5)
        faults.fail("alloc", 0, 2, after) -- twice: Lua collects and tries again
        for _ = 1, 4 do task.yield() end -- it is accepted, and the handler begins
        faults.stop()
        local answer, message = first:receive()
        if serving:status() == "waiting" then -- the failure was not that of accept itself
          unserved = unserved + (answer and 0 or 1)
          assert(answer == "served" or message == "closed", message)
          local second <close> = assert(socket.connect("127.0.0.1", port))
          second:settimeout(5)
          assert(second:receive() == "served") -- and so the first is not at work
          server:close()
          assert(select(2, serving:join()))
        end
      end
      print(unserved > 0)
    ]]
    assert.same({ "true\n", 0 }, { out, status })
    assert.matches("task died: not enough memory", err)
  end)
end)

describe("a group without memory", function()
  it("ends, whichever allocation of its tasks fails", function()
    local out, err = faults.run [[
      local function returns() return { task.now() } end
      local function fails() error {} end
      for _, body in ipairs { returns, fails } do
        local function start(g)
          for _ = 1, 3 do g:spawn(body) end
        end
        for after = 0, 150 do
          faults.fail("alloc", 0, 2, after) -- twice: Lua collects and tries again
          pcall(task.group, start)
          faults.stop()
        end
      end
      print "ended"
    ]]
    assert.equal("ended\n", out, err)
  end)

  it("raises what its children died of, whether they had begun or not, and ends", function()
    local out, err, status = faults.run [[
      local raised = 0
      for after = 0, 200 do
        local spawned = 0
        local ok, message = pcall(task.group, function(g)
          faults.fail("alloc", 0, 2, after) -- twice: Lua collects and tries again
          for _ = 1, 10 do
            g:spawn(function() task.sleep(0) end)
            spawned = spawned + 1
          end
          task.yield()
          task.yield()
          faults.stop()
        end)
        faults.stop()
        assert(ok or tostring(message):find "not enough memory", message)
        raised = raised + (not ok and spawned == 10 and 1 or 0)
      end
      print(raised > 0)
    ]]
    assert.same({ "true\n", "", 0 }, { out, err, status })
  end)

  it("cancels the siblings of a child that could not begin", function()
    local out, err, status = faults.run [[
      local function try(after)
        local cancelled
        local ok, message = pcall(task.group, function(g)
          g:spawn(function()
            local _, why = pcall(task.sleep, 3600)
            cancelled = why == task.cancelled
            error(why)
          end)
          task.yield()
          g:spawn(task.yield)
          faults.fail("alloc", 0, 2, after)
          pcall(task.sleep, 3600)
        end)
        faults.stop()
        return not ok and message == "not enough memory" and cancelled
      end
      print(try(0))
    ]]
    assert.same({ "true\n", "", 0 }, { out, err, status })
  end)
end)

describe("a wait for what cannot be watched", function()
  -- Each call must end by itself, and with the reason; two seconds are for ever here.
  local WAITS = [[
    local kept = {}
    local function conn() -- nobody has waited for it yet
      local listener <close> = assert(socket.bind("127.0.0.1", 0))
      kept[#kept + 1] = assert(socket.connect("127.0.0.1", (select(2, listener:getsockname()))))
      return assert(listener:accept())
    end
    local function udp()
      local s = assert(socket.udp4())
      assert(s:setsockname("127.0.0.1", 0))
      return s
    end
    local full = ("x"):rep(16 * 1024 * 1024)
    local busy = assert(socket.tcp4()) -- connections to it are not answered
    busy:bind("127.0.0.1", 0)
    busy:listen(0)
    local _, busy_port = busy:getsockname()
    local function connecting()
      local client = socket.tcp4()
      kept[#kept + 1] = client
      client:settimeout(0)
      client:connect("127.0.0.1", busy_port)
      return client
    end
    repeat until #select(2, socket.select(nil, { connecting() }, 0.02)) == 0
    local child <close> = assert(lariat.run { "cat", stdin = "pipe", stdout = "pipe" })
    local conns = {}
    for i = 1, 12 do conns[i] = conn() end
    local function fresh() return table.remove(conns) end
    local foreign = fresh()
    local plain = { getfd = function() return foreign:getfd() end }
    local function message(ok, ...) return ok and (select(2, ...)) or ... end
    local waits = {
      { "accept", function() return socket.bind("127.0.0.1", 0):accept() end },
      { "serve", function() return socket.bind("127.0.0.1", 0):serve(print) end },
      { "connect", function() return socket.tcp4():connect("127.0.0.1", busy_port) end },
      { "connect to two", function() return socket.connect("two.test", busy_port) end },
      { "receive", function() return fresh():receive() end },
      { "peek", function() return fresh():peek(1) end },
      { "lines", function() return fresh():lines()() end },
      { "pipe", function() return fresh():pipe(fresh()) end },
      { "relay", function() return socket.relay(fresh(), fresh()) end },
      { "send", function() return fresh():send(full) end },
      { "receive datagram", function() return udp():receive() end },
      { "receivefrom", function() return udp():receivefrom() end },
      { "receivemany", function() return udp():receivemany() end },
      { "datagrams", function() return udp():datagrams()() end },
      { "select", function() return socket.select({ fresh() }, nil) end },
      { "select to write", function() return socket.select(nil, { connecting() }) end },
      { "select on a descriptor", function() return socket.select({ plain }, nil) end },
      { "wait", function() return task.wait { fresh(), task.event() } end },
      { "stdin", function() return lariat.stdin:receive() end },
      { "stdout of a child", function() return child.stdout:receive() end },
      { "stdin of a child", function() return child.stdin:send(full) end },
    }
    for _, wait in ipairs(waits) do
      faults.fail("epoll_ctl", errno.ENOSPC, 1000)
      local results = table.pack(task.timeout(2, pcall, wait[2]))
      local failed = faults.stop()
      print(wait[1], failed > 0, message(table.unpack(results, 1, results.n)))
    end
  ]]

  it("fails with a message that says so", function()
    local lines = lines_of(WAITS)
    assert.equal(21, #lines)
    for _, line in ipairs(lines) do
      assert.matches("\ttrue\t.*No space left on device", line)
    end
  end)

  -- Foreign code may know these descriptors, so that each direction is asked for by itself.
  it("is no end for who waits for the other direction", function()
    assert.same({ "true\tfalse\ttrue", "heard" }, lines_of [[
      local listener <close> = assert(socket.bind("127.0.0.1", 0))
      local peer <close> = assert(socket.connect("127.0.0.1", (select(2, listener:getsockname()))))
      local conn <close> = assert(listener:accept())
      conn:getfd()
      local reading = task.spawn(conn.receive, conn)
      task.yield()
      faults.fail("epoll_ctl", errno.ENOSPC, 1)
      local ok, message = conn:send(("x"):rep(16 * 1024 * 1024))
      print(faults.stop() == 1, ok or false, message:find "No space left" ~= nil)
      peer:send "heard\n"
      print((task.timeout(2, reading.join, reading)))
    ]])
  end)

  it("is no end for who waited when others came to know the descriptor", function()
    assert.same({ "true", "heard" }, lines_of [[
      local listener <close> = assert(socket.bind("127.0.0.1", 0))
      local peer <close> = assert(socket.connect("127.0.0.1", (select(2, listener:getsockname()))))
      local conn <close> = assert(listener:accept())
      local reading = task.spawn(conn.receive, conn)
      task.yield()
      faults.fail("epoll_ctl", errno.ENOSPC, 1)
      conn:getfd()
      print(faults.stop() == 1)
      peer:send "heard\n"
      print((task.timeout(2, reading.join, reading)))
    ]])
  end)
end)
