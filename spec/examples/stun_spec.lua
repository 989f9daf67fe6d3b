-- SPDX-License-Identifier: MIT

local example = require "spec.support.example"
local socket = require "socket"
local stun = require "examples.wire.stun"

local LOOPBACK = "127.0.0.1"
local ID = "0123456789ab"

describe("the STUN server", function()
  local server
  before_each(function() server = example.start("stun_server", LOOPBACK, 0) end)
  after_each(function() server:stop() end)

  it("tells turnutils_stunclient its own address", function()
    local output, how, status = example.peer {
      "timeout", 10, "turnutils_stunclient", "-p", server.port, LOOPBACK, stderr = "stdout",
    }
    assert.same({ "exit", 0 }, { how, status })
    assert.matches("reflexive addr: 127%.0%.0%.1:%d+", output)
  end)

  it("names what it does not understand, and ignores what is no request", function()
    local udp <close> = socket.udp()
    udp:setpeername(LOOPBACK, server.port)
    udp:send "garbage"
    stun:write(udp, { type = "binding_indication", id = ID, attributes = {} })
    stun:write(udp, { type = "binding_success", id = ID, attributes = {} })
    stun:write(udp, { type = "binding_request", id = ID, attributes = {
      { type = 0x7777, data = "?" }, { type = 0x8777, data = "optional" } } })
    local answer = assert(stun:read(udp))
    assert.same({ "binding_error", ID }, { answer.type, answer.id })
    assert.equal(420, answer.attributes[1].class * 100 + answer.attributes[1].number)
    assert.same({ 0x7777 }, answer.attributes[2].types)
    stun:write(udp, { type = "binding_request", id = ID, attributes = {} })
    local here = ("%s %d"):format(udp:getsockname())
    assert.equal(here, assert(stun:read(udp)).attributes[1].address)
  end)
end)

it("the STUN server refuses bad arguments", function()
  assert.is_true(example.refuses("stun_server", LOOPBACK, "stun"))
end)
