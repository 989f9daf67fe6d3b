-- SPDX-License-Identifier: MIT
--
-- Resets on a simulated network that loses them: loss may delay what they tell, not hide it.

local sim = require "lariat.sim"
local socket = require "socket"
local task = require "lariat.task"

-- Runs a server, and client(net), with the first reset lost.
local function run(server, client)
  local lost = false
  sim.run({ split = false }, function(net)
    net:host("server", server)
    net:rule(function(packet)
      if packet.kind == "rst" and not lost then
        lost = true
        return "drop"
      end
    end)
    net:client("client", client, net)
  end)
  assert.is_true(lost)
end

-- Accepts one client and does this with it.
local function serve(f)
  return function()
    local server = assert(socket.bind("*", 7000))
    local conn = assert(server:accept())
    f(conn)
    task.sleep(1000)
  end
end

-- Sends to a server that has gone, and has to hear of it: what is sent again is answered again.
local function hear_reset()
  local conn <close> = assert(socket.connect("server", 7000))
  task.sleep(2)
  assert(conn:send "hello")
  conn:settimeout(100)
  assert.same({ nil, "closed", "" }, { conn:receive() })
end

describe("a reset that gets lost", function()
  it("refuses a connection after all", function()
    run(function() task.sleep(1000) end, function()
      assert.same({ nil, "connection refused" }, { socket.connect("server", 7000) })
    end)
  end)

  it("tells of data that came to a host which was started again", function()
    run(serve(function() end), function(net)
      net:at(1, function() net:restart "server" end)
      hear_reset()
    end)
  end)

  it("tells of a close that discards", function()
    run(serve(function(conn)
      conn:setoption("linger", { on = true, timeout = 0 })
      conn:close()
    end), hear_reset)
  end)
end)
