-- SPDX-License-Identifier: MIT
--
-- Looking ahead in a stream: peek and skip (src/net/peek.c), and the same for objects without them,
-- such as LuaSec's connections. From such an object only the bytes are received that a message is
-- known to need, and none after it.

local concat, sub = table.concat, string.sub

-- Bytes taken from an object and not yet skipped.
---@class lariat.wire.Ahead
local Ahead = {}
Ahead.__index = Ahead

local function whole(self)
  local s = concat(self.parts)
  self.parts = { s }
  return s
end

local function add(self, x)
  self.parts[#self.parts + 1] = x
  self.size = self.size + #x
end

function Ahead:peek(conn, n, _, from)
  local before = self.size
  while self.size < from + n do
    local x, message, partial = conn:receive(from + n - self.size)
    if x or partial and partial ~= "" then add(self, x or partial) end
    if not x and not (message == "closed" and self.size > from) then return nil, message end
    if not x then break end
  end
  if from == before and #self.parts > 0 and before == self.size - #self.parts[#self.parts] then
    return self.parts[#self.parts], self.taken
  end
  return sub(whole(self), from + 1), self.taken
end

function Ahead:skip(n, taken)
  if taken ~= self.taken then return false end
  if n > 0 then
    self.parts = { sub(whole(self), n + 1) }
    self.size = self.size - n
    self.taken = self.taken + n
  end
  return true
end

local ahead = {}

--- The functions peek(conn, n, max, from) and skip(conn, n, taken) for a stream.
function ahead.of(conn)
  if conn.peek and conn.skip then return conn.peek, conn.skip end
  local self = setmetatable({ parts = {}, size = 0, taken = 0 }, Ahead)
  return function(object, n, max, from) return self:peek(object, n, max, from) end,
    function(_, n, taken) return self:skip(n, taken) end
end

return ahead
