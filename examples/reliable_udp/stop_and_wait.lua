-- SPDX-License-Identifier: MIT
--
-- Stop-and-wait: a packet is sent, again and again, until its ACK comes; then the next one. Simple,
-- and slow where the way is long: one packet for each round trip.

local socket = require "socket"
local task = require "lariat.task"
local wire = require "reliable_udp.wire"

local stop_and_wait = {}

-- An ACK of an earlier packet, late or twice, says nothing about this one.
local function await_ack(udp, transfer, expected)
  repeat
    local kind, number = socket.try(wire.receive(udp, transfer))
  until kind == wire.ACK and number == expected
  return true
end

local function deliver(udp, transfer, kind, number, data)
  local packet = wire.encode(kind, transfer, number, data)
  for seconds in wire.waits() do
    socket.try(udp:send(packet))
    if task.timeout(seconds, await_ack, udp, transfer, number + 1) then return end
  end
  socket.try(nil, "no answer")
end

--- Sends what an LTN12 source gives to the peer of a connected socket. Returns true once all of it
--- has arrived there, or nil and a message.
---@param udp table
---@param source fun(): string?, string?
---@return true?, string?
stop_and_wait.send = socket.protect(function(udp, source)
  local transfer, number = math.random(0, 0xFFFFFFFF), 0
  for data in wire.pieces(source) do
    deliver(udp, transfer, wire.DATA, number, data)
    number = number + 1
  end
  deliver(udp, transfer, wire.LAST, number, "")
  udp:send(wire.encode(wire.DONE, transfer, number))
  return true
end)

--- Receives one transfer on a bound socket into an LTN12 sink. Returns true once all of it has
--- arrived, or nil and a message.
---@param udp table
---@param sink fun(data: string?): any, string?
---@return true?, string?
stop_and_wait.receive = socket.protect(function(udp, sink)
  local expected, ended = 0, false
  local transfer, kind, number, data = wire.accept(udp)
  while true do
    if number == expected then -- else it came before: its ACK was lost
      socket.try(sink(data))
      ended = kind == wire.LAST
      expected = expected + 1
    end
    udp:send(wire.encode(wire.ACK, transfer, expected))
    if ended then break end
    kind, number, data = wire.next(udp, transfer)
  end
  socket.try(sink(nil))
  wire.linger(udp, transfer, wire.encode(wire.ACK, transfer, expected))
  return true
end)

return stop_and_wait
