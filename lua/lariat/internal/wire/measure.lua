-- SPDX-License-Identifier: MIT
--
-- The least that fields take on the wire, known before any message is. An item of no bytes would
-- make a list without end; a message that always contains itself has no least size at all.

local node = require "lariat.internal.wire.node"
local registry = require "lariat.internal.wire.registry"

local measure = {}

local least

local function of_length(n)
  if not node.is(n.len) then return 0 end
  return n.len.kind == "int" and n.len.size or n.len.delim and #n.len.delim + 1 or 1
end

local LEAST = {
  varint = function() return 1 end,
  quicint = function() return 1 end,
  headers = function() return 2 end,
  upto = function(n) return #n.delim + (n.num and 1 or 0) end,
  str = of_length,
  size = function(n, seen) return of_length(n) + least(n.fields, seen) end,
  scope = function(n, seen) return #n.delim + least(n.fields, seen) end,
  record = function(n, seen) return least(n.fields, seen) end,
  check = function(n, seen)
    return least(n.fields, seen) + (node.is(n.what) and n.what.size or 0)
  end,
  list = function(n, seen)
    local items = n.len == "till" and 1 or math.type(n.len) == "integer" and n.len or 0
    return of_length(n) + (items > 0 and items * least(n.item, seen) or 0)
  end,
  switch = function(n, seen)
    local size
    for _, key in ipairs(n.keys) do
      local one = least(n.cases[key], seen)
      size = size and math.min(size, one) or one
    end
    return size or 0
  end,
  ref = function(n, seen)
    local message = registry.target(n)
    if seen[message] then return math.huge end
    seen[message] = true
    local size = least(message.seq, seen)
    seen[message] = nil
    return size
  end,
}

function least(seq, seen)
  local size = 0
  for _, n in ipairs(seq) do
    local f = LEAST[n.kind]
    size = size + (f and f(n, seen) or n.size or 0)
  end
  return size
end

--- Bytes that a sequence takes at least.
function measure.least(seq)
  return least(seq, {})
end

--- Raises if no message can be finite.
function measure.check(message)
  if least(message.seq, { [message] = true }) == math.huge then
    error(("%s: message %s always contains itself, so it has no end"):format(message.line,
      message.name), 0)
  end
end

return measure
