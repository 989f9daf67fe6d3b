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
