-- SPDX-License-Identifier: MIT
--
-- Sliding window with selective repeat: up to WINDOW packets are on their way at once, and only
-- those that got lost are sent again. Each packet has a task of its own, which is stop-and-wait for
-- that packet alone; one more task listens and tells them what has arrived.
--
-- The body of an ACK is a bitmap of 64 bits of what has come too early: bit i stands for the packet
-- i + 1 behind the one that is missing. So each ACK says everything, and a lost one costs nothing.

local socket = require "socket"
local task = require "lariat.task"
local wire = require "reliable_udp.wire"

local WINDOW = 64 -- as wide as the bitmap

local sliding_window = {}

-- Sending -----------------------------------------------------------------------------------------

-- Invariant: everything before `base` has arrived, everything before `sent` has been sent, and
-- sent - base <= WINDOW, since a permit comes back only when base moves on.
local function new_flight(udp)
  return {
    udp = udp, transfer = math.random(0, 0xFFFFFFFF), base = 0, sent = 0,
    window = task.semaphore(WINDOW), arrived = {}, -- number -> event
  }
end

local function deliver(flight, kind, number, data)
  local packet = wire.encode(kind, flight.transfer, number, data)
  local arrived = flight.arrived[number]
  for seconds in wire.waits() do
    socket.try(flight.udp:send(packet))
    if arrived:wait(seconds) then return end
  end
  socket.try(nil, "no answer")
end

local function settle(flight, number)
  if flight.arrived[number] then flight.arrived[number]:set() end
  flight.arrived[number] = nil
end

local function listen(flight)
  while true do
    local kind, number, body = socket.try(wire.receive(flight.udp, flight.transfer))
    if kind == wire.ACK and number <= flight.sent then
      for i = flight.base, number - 1 do
        settle(flight, i)
        flight.window:release()
      end
      flight.base = math.max(flight.base, number)
      local early = #body == 8 and (">I8"):unpack(body) or 0
      for i = 0, WINDOW - 1 do
        if early >> i & 1 == 1 then settle(flight, number + 1 + i) end
      end
    end
  end
end

local function transmit(flight, source)
  task.group(function(group)
    local function launch(kind, data)
      flight.window:acquire()
      flight.arrived[flight.sent] = task.event()
      group:spawn(deliver, flight, kind, flight.sent, data)
      flight.sent = flight.sent + 1
    end
    for data in wire.pieces(source) do launch(wire.DATA, data) end
    launch(wire.LAST, "")
  end) -- and here all of them have arrived
  flight.udp:send(wire.encode(wire.DONE, flight.transfer, flight.sent))
  return true
end

--- As stop_and_wait.send.
sliding_window.send = socket.protect(function(udp, source)
  local flight = new_flight(udp)
  return task.race(
    function() return listen(flight) end,
    function() return transmit(flight, source) end)
end)

-- Receiving ---------------------------------------------------------------------------------------

local function ack(transfer, missing, early)
  local bitmap = 0
  for i = 0, WINDOW - 1 do
    if early[missing + 1 + i] then bitmap = bitmap | 1 << i end
  end
  return wire.encode(wire.ACK, transfer, missing, (">I8"):pack(bitmap))
end

--- As stop_and_wait.receive.
sliding_window.receive = socket.protect(function(udp, sink)
  local missing, early, last = 0, {}, math.huge -- early: number -> data
  local transfer, kind, number, data = wire.accept(udp)
  while true do
    if number >= missing and number < missing + WINDOW then early[number] = data end
    if kind == wire.LAST then last = number end
    while early[missing] do
      socket.try(sink(early[missing]))
      early[missing] = nil
      missing = missing + 1
    end
    udp:send(ack(transfer, missing, early))
    if missing > last then break end
    kind, number, data = wire.next(udp, transfer)
  end
  socket.try(sink(nil))
  wire.linger(udp, transfer, ack(transfer, missing, early))
  return true
end)

return sliding_window
