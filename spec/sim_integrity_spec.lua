-- SPDX-License-Identifier: MIT
--
-- No byte of a stream is lost, doubled or out of place, whatever the network does: both ends send
-- and check a stream in pieces that the seed chooses, under all faults at once. `--seeds=1000` for
-- a long run.

local sim = require "lariat.sim"
local socket = require "socket"
local task = require "lariat.task"

local SCALE = tonumber(os.getenv "SCALE") or 1
local SEEDS = math.max(100 // SCALE, 3)
local BYTES = 100000

-- Bytes that repeat only after a very long while.
local function pattern(seed)
  local pieces = {}
  for i = 1, BYTES // 4 do
    pieces[i] = string.pack("<I4", (i * 2654435761 + seed * 40503) & 0xffffffff)
  end
  return table.concat(pieces)
end

-- In pieces of any size, some of them with a pause.
local function send_all(conn, text)
  local at = 1
  while at <= #text do
    local size = math.random(1, math.random() < 0.1 and 70000 or 300)
    assert(conn:send(text, at, math.min(at + size - 1, #text)))
    at = at + size
    if math.random() < 0.02 then socket.sleep(math.random() / 10) end
  end
  assert(conn:shutdown "send")
end

local function receive_all(conn, text)
  local at = 1
  while true do
    local data, message = conn:receiveany(math.random(1, 9000))
    if not data then
      assert.equal("closed", message)
      break
    end
    if data ~= text:sub(at, at + #data - 1) then
      error(("byte %d or one of the %d behind it is wrong"):format(at, #data))
    end
    at = at + #data
    if math.random() < 0.02 then socket.sleep(math.random() / 5) end
  end
  assert.equal(#text + 1, at)
end

local function both_ways(conn, mine, theirs)
  local sending = task.spawn(send_all, conn, mine)
  receive_all(conn, theirs)
  sending:join()
  conn:close()
end

describe("a stream", function()
  sim.it("arrives as it was sent", {
    seeds = SEEDS, timeout = 20 * SCALE, loss = 0.03, split = 0.5, partition = 2, reorder = true,
    delay = true, duplicate = true,
  }, function(net)
    local one, other = pattern(1), pattern(2)
    net:client("server", function()
      local server <close> = assert(socket.bind("*", 7000))
      both_ways(assert(server:accept()), one, other)
    end)
    net:client("client", function()
      local conn = assert(socket.connect("server", 7000))
      both_ways(conn, other, one)
    end)
  end)
end)
