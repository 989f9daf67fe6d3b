-- SPDX-License-Identifier: MIT
--
-- What must hold of large pieces of a stream: each check is called with what makes two connected
-- sockets, and raises. They run in programs of their own as well, because the one that tests keeps
-- its memory another way: see spec/receive_large_spec.lua.

local task = require "lariat.task"

local SCALE = tonumber(os.getenv "SCALE") or 1
local MIB = 1024 * 1024
local SIZES = { 4095, 4096, 8191, 8192, 8193, 16384, 20000, 65535, 65536, 65537, MIB }

local WORDS = {}
for i = 1, 140000 do WORDS[i] = ("%07x "):format(i) end
local TEXT = table.concat(WORDS)

-- Since there were `before` bytes, no more than `limit` more have come to be in use. The allocator
-- of a process that holds much, as one that has run half a suite, keeps more of what was freed.
-- Sanitizers, which run with a SCALE above 1, keep all of it.
local function assert_used(bytes, before, limit)
  limit = limit + math.max(0, before - 32 * MIB) // 2
  if SCALE == 1 then assert(bytes - before < limit, bytes - before .. " bytes, not " .. limit) end
end

-- Bytes that are not the same for another number nor at another place.
local function content(size, number)
  local first = number * 7 % 4099 + 1
  return TEXT:sub(first, first + size - 1)
end

-- In one mode of the collector, chosen here: how much garbage there is at worst is its business,
-- and not that of the pieces.
local function resident()
  collectgarbage "incremental"
  collectgarbage()
  collectgarbage()
  local file <close> = assert(io.open "/proc/self/statm")
  return tonumber(file:read("a"):match "%d+ (%d+)") * 4096
end

local function closing(...)
  local sockets = { ... }
  return setmetatable({}, {
    __close = function()
      for _, sock in ipairs(sockets) do sock:close() end
    end,
  })
end

local function gather(conn, size)
  local pieces, got = {}, 0
  while got < size do
    local piece = assert(conn:receiveany())
    pieces[#pieces + 1] = piece
    got = got + #piece
  end
  return table.concat(pieces)
end

local WAYS = {
  ["a count"] = { function(conn, size) return conn:receive(size) end },
  ["whatever is there"] = { gather },
  ["a line"] = { function(conn) return conn:receive "*l" end, "\n" },
  ["a line with its end"] = { function(conn) return conn:receive "*L":sub(1, -2) end, "\n" },
  ["up to a delimiter"] = { function(conn) return conn:receiveuntil "\r\n\r\n" end, "\r\n\r\n" },
  ["with the delimiter"] = {
    function(conn) return conn:receiveuntil("\r\n\r\n", { inclusive = true }):sub(1, -5) end,
    "\r\n\r\n",
  },
  ["behind a prefix"] = {
    function(conn, size) return conn:receive(size + 6, "prefix"):sub(7) end,
  },
}

local checks = {}

-- Each size several times: what comes once is not yet what usually comes.
for name, way in pairs(WAYS) do
  checks["arrive as sent: " .. name] = function(pair)
    local near, far = pair()
    local _ <close> = closing(near, far)
    local receive, tail = way[1], way[2] or ""
    local kept = {}
    for i = 0, #SIZES * 4 - 1 do
      local sent = content(SIZES[i // 4 + 1], i)
      local sending = task.spawn(function() assert(far:send(sent .. tail)) end)
      kept[i + 1] = { sent = sent, received = receive(near, #sent) }
      sending:join()
    end
    for _, one in ipairs(kept) do assert(one.sent == one.received) end
  end
end

checks["arrive as sent: all up to the end"] = function(pair)
  for i, size in ipairs(SIZES) do
    local near, far = pair()
    local _ <close> = closing(near, far)
    local sent = content(size, i)
    local sending = task.spawn(function()
      far:send(sent)
      far:close()
    end)
    assert(near:receive "*a" == sent)
    sending:join()
  end
end

checks["arrive as sent: what had come when the time was up"] = function(pair)
  local near, far = pair()
  local _ <close> = closing(near, far)
  near:settimeout(0.01)
  for i = 1, 4 do
    local sent = content(16384, i)
    far:send(sent)
    far:flush()
    local data, message, partial = near:receive(20000)
    assert(not data and message == "timeout")
    assert(partial == sent)
  end
end

checks["leave others alone that have received and not yet taken"] = function(pair)
  local near, far = pair()
  local other, sender = pair()
  local _ <close> = closing(near, far, other, sender)
  for i = 1, 10 do
    local small, large = content(3000, i), content(16384, 100 + i)
    sender:send(small)
    sender:flush()
    assert(small:sub(1, 10) == other:receive(10))
    far:send(large)
    far:flush()
    local received = near:receive(16384)
    assert(small:sub(11, 20) == other:receive(10))
    assert(received == large)
    assert(other:receive(2980) == small:sub(21))
  end
end

checks["can be taken in parts"] = function(pair)
  local near, far = pair()
  local _ <close> = closing(near, far)
  for i = 1, 10 do
    local sent = content(16384, i)
    far:send(sent)
    far:flush()
    assert(near:receiveany(10000) == sent:sub(1, 10000))
    assert(near:peek(6384) == sent:sub(10001))
    assert(near:receiveany() == sent:sub(10001))
  end
end

checks["arrive whole when finalizers receive meanwhile"] = function(pair)
  local near, far = pair()
  local other, sender = pair()
  local _ <close> = closing(near, far, other, sender)
  local ran, taken = 0, { [near] = {}, [other] = {} }
  local function take(conn)
    local bytes = conn:receiveany()
    if bytes then table.insert(taken[conn], bytes) end
    return bytes
  end
  local function finalizer()
    ran = ran + 1
    take(near)
    take(other)
  end
  near:settimeout(0)
  other:settimeout(0)
  local sent = {}
  for i = 1, 100 do
    sent[i] = content(20000, i)
    for _, conn in ipairs { far, sender } do
      conn:send(sent[i])
      conn:flush()
    end
    setmetatable({}, { __gc = finalizer })
    setmetatable({}, { __gc = finalizer })
    repeat until not take(near) and not take(other)
  end
  far:close()
  sender:close()
  for conn, bytes in pairs(taken) do
    conn:settimeout(nil)
    bytes[#bytes + 1] = conn:receive "*a"
  end
  assert(ran > 0 or collectgarbage "count" > 4096) -- a large heap is not collected so soon
  sent = table.concat(sent)
  for _, bytes in pairs(taken) do -- a finalizer's bytes come before those of whom it interrupts
    assert(#sent == #table.concat(bytes))
    for _, piece in ipairs(bytes) do assert(sent:find(piece, 1, true) ~= nil) end
  end
end

-- Sends and receives `count` pieces of each size in turn; keeps every so many of the last size.
local function stream(near, far, count, sizes, every)
  local kept = {}
  local sending = task.spawn(function()
    for _ = 1, count do
      for _, size in ipairs(sizes) do assert(far:send(TEXT:sub(1, size))) end
    end
  end)
  for i = 1, count do
    local piece
    for _, size in ipairs(sizes) do
      piece = near:receive(size)
      assert(#piece == size)
    end
    if every and i % every == 0 then kept[#kept + 1] = piece end
  end
  sending:join()
  return kept
end

-- Some pieces taken whole, then one in parts, again and again.
local function take_in_parts(near, far, count)
  for i = 1, count * 3 do
    far:send(TEXT:sub(1, 16384))
    far:flush()
    for _, size in ipairs(i % 3 == 0 and { 10000, 6384 } or { 16384 }) do
      assert(#near:receive(size) == size)
    end
  end
end

checks["need no more memory, the more have come"] = function(pair)
  local near, far = pair()
  local _ <close> = closing(near, far)
  local turns = { { 16384 }, { 10000 }, { 65536 }, { 300000 }, { 60000, 9000 }, { 16384, 500 } }
  local function pass(bytes)
    take_in_parts(near, far, bytes // MIB * 10)
    for _, sizes in ipairs(turns) do
      stream(near, far, bytes // #turns // (sizes[1] + (sizes[2] or 0)), sizes)
    end
  end
  pass(5 * MIB)
  local before = resident()
  pass(100 * MIB // SCALE)
  assert_used(resident(), before, 4 * MIB)
end

checks["need little more memory than what is kept"] = function(pair)
  for _, every in ipairs { 8, 1 } do
    for _, sizes in ipairs { { 60000 }, { 8200 }, { 16384 } } do
      local near, far = pair()
      local _ <close> = closing(near, far)
      stream(near, far, 20, sizes)
      local before, count = resident(), 4000 // SCALE
      local kept = stream(near, far, count, sizes, every)
      assert_used(resident(), before, 1.5 * #kept * sizes[#sizes] + 16 * MIB)
    end
  end
end

return checks
