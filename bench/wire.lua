-- SPDX-License-Identifier: MIT
--
-- lariat.wire against code written by hand (bench/wire_hand.lua), as ratios of speed: more than 1
-- is faster than by hand. Decoding, encoding, messages() on a pipelined connection, and how the
-- costs grow with the size of a message and with how it is cut.
--
--   ./lariat bench/wire.lua [codec | messages | growth]

package.path = "./?.lua;" .. package.path
local hand = require "bench.wire_hand"
local socket = require "socket"
local task = require "lariat.task"
local wire = require "lariat.wire"

local SLICE, ROUNDS = 0.02, 15 -- seconds of each, in turns

local function sorted(t)
  local keys = {}
  for key in pairs(t) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

-- Runs of f in a slice of time, for a second.
local function rate(f)
  local count, start = 0, os.clock()
  local now
  repeat
    for _ = 1, 200 do f() end
    count = count + 200
    now = os.clock()
  until now - start >= SLICE
  return count / (now - start)
end

-- The median ratio of two, in turns, and the first one's median rate.
local function compare(ours, theirs)
  local ratios, rates = {}, {}
  for i = 1, ROUNDS do
    local a, b
    if i % 2 == 0 then
      a = rate(ours)
      b = rate(theirs)
    else
      b = rate(theirs)
      a = rate(ours)
    end
    ratios[i], rates[i] = a / b, a
  end
  table.sort(ratios)
  table.sort(rates)
  return ratios[ROUNDS // 2 + 1], rates[ROUNDS // 2 + 1]
end

-- Codecs -----------------------------------------------------------------------------------------

local function same(a, b)
  if type(a) ~= "table" then return a == b end
  for key, value in pairs(a) do
    if not same(value, b[key]) then return false end
  end
  return true
end

local function codecs()
  local head = "%-10s %6s %8s %12s %8s %12s"
  print(head:format("message", "bytes", "decode", "1/s", "encode", "1/s"))
  local product, count = { 1, 1 }, 0
  for _, name in ipairs(sorted(hand)) do
    local h = hand[name]
    local m, bytes = h.message, h.encode(h.value)
    assert(m:encode(h.value) == bytes, name)
    local value, next = h.decode(bytes, 1)
    assert(same(value, (m:decode(bytes))) and same(m:decode(bytes), value) and next == #bytes + 1,
      name)
    local decode, decodes = compare(function() return m:decode(bytes) end,
      function() return h.decode(bytes, 1) end)
    local encode, encodes = compare(function() return m:encode(h.value) end,
      function() return h.encode(h.value) end)
    print(("%-10s %6d %8.2f %12.0f %8.2f %12.0f"):format(name, #bytes, decode, decodes, encode,
      encodes))
    product[1], product[2], count = product[1] * decode, product[2] * encode, count + 1
  end
  print(("%-10s %6s %8.2f %12s %8.2f"):format("geometric", "", product[1] ^ (1 / count), "",
    product[2] ^ (1 / count)))
end

-- Streams ----------------------------------------------------------------------------------------

local function pair()
  local server <close> = assert(socket.bind("127.0.0.1", 0))
  local _, port = server:getsockname()
  local a = assert(socket.connect("127.0.0.1", port))
  return a, assert(server:accept())
end

-- Seconds to read `count` messages that another task sends.
local function timed(bytes, count, read)
  local a, b = pair()
  local many = bytes:rep(200)
  local sender = task.spawn(function()
    for _ = 1, count // 200 do assert(a:send(many)) end
    a:shutdown "send"
  end)
  local start = os.clock()
  local got = read(b)
  local spent = os.clock() - start
  sender:join()
  a:close()
  b:close()
  assert(got == count, got)
  return spent
end

-- By hand: receive what there is, decode all of it, keep what is cut. A string is never cut twice.
local function by_hand(decode)
  return function(conn)
    local buffer, count = "", 0
    while true do
      local x = conn:receiveany(65536)
      if not x then return count end
      buffer = buffer == "" and x or buffer .. x
      local p = 1
      while true do
        local value, next = decode(buffer, p)
        if not value then break end
        count, p = count + 1, next
      end
      buffer = buffer:sub(p)
    end
  end
end

-- By hand, with a receive for each part: as most scripts are written.
local function by_parts(conn)
  local count = 0
  while true do
    local head = conn:receive(24)
    if not head then return count end
    local _, _, keys, extras, _, _, body = string.unpack(">BBI2BBI2I4I4I8", head)
    local rest = conn:receive(body)
    if not rest then return count end
    local t = { extras = rest:sub(1, extras), key = rest:sub(extras + 1, extras + keys),
      value = rest:sub(extras + keys + 1) }
    count = count + (t and 1)
  end
end

local function by_wire(message)
  return function(conn)
    local count = 0
    for _ in message:messages(conn) do count = count + 1 end
    return count
  end
end

local function median_ratio(bytes, count, ours, theirs)
  local ratios = {}
  for i = 1, 9 do
    local a = timed(bytes, count, ours)
    ratios[i] = timed(bytes, count, theirs) / a
  end
  table.sort(ratios)
  return ratios[5]
end

local function messages()
  print(("%-10s %22s %22s"):format("messages", "buffer by hand", "receive by parts"))
  for _, name in ipairs(sorted(hand)) do
    local h = hand[name]
    local bytes, ours = h.encode(h.value), by_wire(h.message)
    local parts = name == "memcached" and
      ("%.2f"):format(median_ratio(bytes, 20000, ours, by_parts)) or ""
    print(("%-10s %22.2f %22s"):format(name, median_ratio(bytes, 20000, ours, by_hand(h.decode)),
      parts))
  end
end

-- Growth -----------------------------------------------------------------------------------------

local function sum(s)
  local n = 0
  for i = 1, #s, 64 do n = n + s:byte(i) end
  return n & 0xffffffff
end

local pair_type = wire.custom {
  name = "pair",
  decode = function(s, p, e)
    if p + 1 > e then return nil end
    return s:sub(p, p + 1), p + 2
  end,
  encode = function(v) return v end,
}

-- Lists that are read item by item, as they come: what a resumable decoder must not keep.
local GROWING = {
  items = wire.message "items" { wire.u32 "count",
    wire.list "count" "items" { wire.str(wire.u16) "x" } },
  checked = wire.message "checked" { wire.check(sum, wire.u32) {
    wire.u32 "count", wire.list "count" "items" { wire.str(wire.u16) "x" } } },
  custom = wire.message "custom" { wire.u32 "count",
    wire.list "count" "items" { pair_type "x", wire.align(4) } },
  text = wire.message "text" { wire.list(wire.till("x", "end")) "items" { wire.line "x" } },
}

-- Nanoseconds a byte to decode a message that comes in pieces of `size` bytes.
local function cost(message, bytes, size)
  local feed, start = message:decoder(), os.clock()
  local got = 0
  for i = 1, #bytes, size do got = got + #assert(feed(bytes:sub(i, i + size - 1))) end
  assert(got == 1)
  return (os.clock() - start) / #bytes * 1e9
end

local function growth()
  print "nanoseconds a byte, in pieces of so many bytes"
  local head = "%-10s %8s %10s %10s %10s"
  print(head:format("message", "items", "1", "100", "10,000"))
  for _, name in ipairs(sorted(GROWING)) do
    local message = GROWING[name]
    for _, count in ipairs { 1000, 4000, 16000 } do
      local items = {}
      for i = 1, count do items[i] = { x = name == "custom" and "ab" or ("item %d"):format(i) } end
      if name == "text" then items[count].x = "end" end
      local bytes = message:encode { items = items }
      print(("%-10s %8d %10.0f %10.0f %10.0f"):format(name, count, cost(message, bytes, 1),
        cost(message, bytes, 100), cost(message, bytes, 10000)))
    end
  end
end

local CASES = { codec = codecs, messages = messages, growth = growth }
if arg[1] then
  CASES[arg[1]]()
else
  codecs()
  print()
  messages()
  print()
  growth()
end
