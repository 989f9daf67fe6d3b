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
