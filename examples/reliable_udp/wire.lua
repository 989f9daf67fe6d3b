-- SPDX-License-Identifier: MIT
--
-- What both protocols of reliable_udp.lua share: the layout of packets, how long to wait before one
-- is sent again, and how a transfer begins and ends.
--
--   kind (1 byte)   transfer (4 bytes)   number (4 bytes)   body
--
-- A transfer is a number drawn by its sender: what is left in the network of an earlier one is not
-- taken for this one's. Data packets are numbered from 0. Numbers do not wrap around, so a packet
-- that was on its way for long is never taken for a new one; they last for 4 TB.

local socket = require "socket"
local task = require "lariat.task"

local wire = {
  DATA = 1, -- body: a piece of the data
  LAST = 2, -- there are no more; body: empty
  ACK = 3,  -- everything before this number has arrived; body: see sliding_window.lua
  DONE = 4, -- the sender has heard that everything has arrived
}

local PIECE = 1000       -- bytes in a packet: what every network takes in one piece
local FIRST_WAIT = 0.1   -- seconds for an ACK to come; doubled with each try,
local LONGEST_WAIT = 1   -- up to this. (TCP measures round trips instead: RFC 6298.)
local TRIES = 25
local SILENCE = 30       -- seconds without a packet after which a receiver gives up
local LINGER = 10        -- seconds for which a receiver repeats its last ACK, if need be

local LAYOUT = ">BI4I4"

function wire.encode(kind, transfer, number, body)
  return LAYOUT:pack(kind, transfer, number) .. (body or "")
end

--- The kind, transfer, number and body of a datagram; nothing if it is none of ours.
function wire.decode(datagram)
  if #datagram < LAYOUT:packsize() then return nil end
  local kind, transfer, number, at = LAYOUT:unpack(datagram)
  return kind, transfer, number, datagram:sub(at)
end

--- Waits for a packet of this transfer: its kind, number and body. nil and a message if the network
--- has one ("connection refused": nobody listens there).
function wire.receive(udp, transfer)
  while true do
    local datagram, message = udp:receive()
    if not datagram then return nil, message end
    local kind, whose, number, body = wire.decode(datagram)
    if whose == transfer then return kind, number, body end
  end
end

-- Sending -----------------------------------------------------------------------------------------

--- Iterates over what an LTN12 source gives, in pieces that fit into a packet.
function wire.pieces(source)
  local data, at = "", 1
  return function()
    while at > #data do
      local message
      data, message = source()
      if not data then return message and socket.try(nil, message) end
      at = 1
    end
    at = at + PIECE
    return data:sub(at - PIECE, at - 1)
  end
end

--- Iterates over the seconds to wait after each try to get a packet through.
function wire.waits()
  local tries, wait = 0, FIRST_WAIT / 2
  return function()
    tries, wait = tries + 1, math.min(wait * 2, LONGEST_WAIT)
    return tries <= TRIES and wait or nil
  end
end

-- Receiving ---------------------------------------------------------------------------------------

--- Waits for the first packet of a transfer, and hears only its sender from now on. Returns the
--- transfer and the packet's kind, number and body.
function wire.accept(udp)
  while true do
    local datagram, host, port = socket.try(udp:receivefrom())
    local kind, transfer, number, body = wire.decode(datagram)
    if number == 0 and (kind == wire.DATA or kind == wire.LAST) then
      socket.try(udp:setpeername(host, port))
      return transfer, kind, number, body
    end
  end
end

--- The next packet of the transfer: its kind, number and body.
function wire.next(udp, transfer)
  local kind, number, body = task.timeout(SILENCE, wire.receive, udp, transfer)
  if kind then return kind, number, body end
  socket.try(nil, number == "deadline" and "the sender has fallen silent" or number)
end

--- After the end: the last ACK may be lost like any other packet, so it is repeated when asked for.
--- (If every repetition is lost too, the sender will believe that the transfer has failed. Whoever
--- speaks last cannot know that he was heard; no protocol changes that.)
function wire.linger(udp, transfer, ack)
  task.timeout(LINGER, function()
    local kind = wire.receive(udp, transfer)
    while kind and kind ~= wire.DONE do
      udp:send(ack)
      kind = wire.receive(udp, transfer)
    end
  end)
end

return wire
