-- SPDX-License-Identifier: MIT

local example = require "spec.support.example"
local ntp = require "examples.wire.ntp"
local socket = require "socket"

local LOOPBACK = "127.0.0.1"

describe("the NTP server", function()
  local server
  before_each(function() server = example.start("ntp_server", LOOPBACK, 0) end)
  after_each(function() server:stop() end)

  it("is believed by chronyd, whose clock is the same", function()
    local user = example.peer { "id", "-un" }:match "%S+"
    local directory, remove <close> = example.directory()
    local output, how, status = example.peer {
      "chronyd", "-Q", "-t", 10, "-u", user,
      ("server %s port %d iburst maxsamples 1"):format(LOOPBACK, server.port),
      "cmdport 0", ("pidfile %s/pid"):format(directory), -- which it removes
      stderr = "stdout",
    }
    assert.same({ "exit", 0 }, { how, status }, output)
    local wrong = tonumber(output:match "System clock wrong by (%S+) seconds")
    assert.is_true(wrong and math.abs(wrong) < 1, output)
    assert(remove)
  end)

  it("answers requests of clients only", function()
    local udp <close> = socket.udp()
    udp:setpeername(LOOPBACK, server.port)
    local request = ntp:decode(("\0"):rep(48))
    udp:send "garbage"
    for _, mode in ipairs { "server", "broadcast", "client" } do
      request.mode, request.version = mode, 3
      request.transmit = { seconds = 17, fraction = 42 }
      ntp:write(udp, request)
    end
    local answer = assert(ntp:read(udp))
    assert.same({ "server", 3 }, { answer.mode, answer.version })
    assert.same({ seconds = 17, fraction = 42 }, answer.origin)
    udp:settimeout(0.01)
    assert.same({ nil, "timeout" }, { ntp:read(udp) })
  end)
end)

it("the NTP server refuses bad arguments", function()
  assert.is_true(example.refuses("ntp_server", LOOPBACK, "ntp"))
end)
