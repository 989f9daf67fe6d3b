-- SPDX-License-Identifier: MIT
--
-- What belongs to the world outside a simulation, and is closed or collected while one runs, ends
-- as it would have without: its deadlines count real seconds, on the world's own clock.

local lariat = require "lariat"
local sim = require "lariat.sim"
local socket = require "socket"
local test = require "lariat.test"

describe("while a simulation runs", function()
  it("a child process that is closed is ended", function()
    local child = assert(lariat.run { "cat", stdin = "pipe" })
    local output = child.stdout
    sim.run({}, function()
      child:close()
      socket.sleep(3600) -- a virtual hour is no second of patience
    end)
    assert.same({ nil, "closed" }, { child:wait(5) })
    assert.same({ nil, "closed", "" }, { output:receive "*a" })
  end)

  it("a child process that ignores SIGTERM has its second, and is killed then", function()
    local script = "trap '' TERM; echo ready; while read line; do :; done; sleep 1000"
    local child = assert(lariat.run { "sh", "-c", script, stdin = "pipe", stderr = "null" })
    assert.equal("ready", child.stdout:receive())
    local pid = child.pid
    sim.run({}, function() child:close() end)
    test.eventually(function() return not io.open(("/proc/%d/stat"):format(pid)) end)
  end)

  it("a socket that is closed delivers what it has sent", function()
    local near, far = test.pair "unix"
    near:settimeout(0)
    local data, size = ("x"):rep(1 << 20), 0
    local _, message, sent = near:send(data) -- as much as the kernel and the runtime take
    assert.equal("timeout", message)
    sim.run({}, function()
      near:close()
      socket.sleep(3600) -- a virtual hour is no real half minute without progress
    end)
    local piece = far:receiveany()
    while piece do
      size = size + #piece
      piece = far:receiveany()
    end
    assert.equal(sent, size)
  end)
end)
