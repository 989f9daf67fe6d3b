-- SPDX-License-Identifier: MIT
--
-- What becomes of the order of packets that a rule delays.

local sim = require "lariat.sim"
local socket = require "socket"

-- Sends a hundred datagrams to a host "a"; the numbers of those that arrive, in their order.
local function arrivals(options, rule)
  local got = {}
  sim.run(options, function(network)
    network:host("a", function()
      local udp <close> = socket.udp4()
      udp:setsockname("*", 7000)
      for data in udp:datagrams() do got[#got + 1] = tonumber(data) end
    end)
    network:rule(rule)
    local udp <close> = socket.udp4()
    for i = 1, 100 do
      assert(udp:sendto(tostring(i), "a", 7000))
      socket.sleep(0.001)
    end
    socket.sleep(5)
  end)
  return got
end

local IN_ORDER = {}
for i = 1, 100 do IN_ORDER[i] = i end

describe("a delay by a rule", function()
  it("leaves packets that it delays alike in order", function()
    assert.same(IN_ORDER, arrivals({ echo = false }, function() return 0.05 end))
    assert.same(IN_ORDER, arrivals({ echo = false }, function() return "delay", 0.0001 end))
    assert.same(IN_ORDER, arrivals({ delay = 0.1, echo = false }, function() return 0.05 end))
  end)

  it("comes to the copy of a packet as well", function()
    local expected = {}
    for i = 1, 100 do expected[2 * i - 1], expected[2 * i] = i, i end
    assert.same(expected, arrivals({ duplicate = 1, echo = false }, function() return 0.05 end))
  end)

  it("lets others overtake a packet that it alone is for", function()
    local got = arrivals({ echo = false }, function(packet)
      if packet.data == "1" then return 1 end
    end)
    assert.equal(1, table.remove(got))
    table.insert(got, 1, 1)
    assert.same(IN_ORDER, got)
  end)
end)
