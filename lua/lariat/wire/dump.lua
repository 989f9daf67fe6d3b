-- SPDX-License-Identifier: MIT
--
-- Annotated dumps: each line has an offset, the bytes or bits of a field, its name and its value. A
-- message that cannot be decoded is shown up to where it breaks, and why.

local Message = require "lariat.wire.node".Message
local compiled = require "lariat.wire.compiled"
local misuse = require "lariat.misuse"
local registry = require "lariat.wire.registry"
local runtime = require "lariat.wire.runtime"

local SHOWN = 8 -- bytes of a field

local function hexadecimal(s)
  return (s:sub(1, SHOWN):gsub(".", function(c) return ("%02x "):format(c:byte()) end)) ..
    (#s > SHOWN and ".." or "")
end

-- The bits of a field, with a dot for each that is not its own.
local function binary(s, bit, width, lsb)
  local out = {}
  for i = 0, #s * 8 - 1 do
    local from = lsb and #s * 8 - bit - width or bit
    local own = i >= from and i < from + width
    local bytes = lsb and s:reverse() or s
    out[#out + 1] = own and tostring(bytes:byte(i // 8 + 1) >> (7 - i % 8) & 1) or "."
    if i % 8 == 7 then out[#out + 1] = " " end
  end
  return table.concat(out)
end

local function shown(v)
  if type(v) == "string" then
    return #v > 40 and ("%q.. (%d bytes)"):format(v:sub(1, 40), #v) or
      ("%q"):format(v):gsub("\n", "n")
  elseif type(v) == "table" then
    return ("%d items"):format(#v)
  elseif math.type(v) == "integer" and v >= 10 then
    return ("%d (0x%x)"):format(v, v)
  end
  return tostring(v)
end

---@class lariat.wire.Span
---@field at integer offset of the first byte
---@field size integer bytes
---@field path string
---@field value any
---@field bit? integer of bits: where they begin in those bytes
---@field width? integer of bits: how many

-- What a traced decode tells, as spans.
local function collector()
  local spans, prefixes = {}, {}
  local function trace(info, from, size, value, bit, width, ...)
    if from == "leave" then
      table.remove(prefixes)
    elseif from == "enter" then
      local path = info[1]:format(size, value, bit, width, ...):gsub("^[^.]*", "")
      prefixes[#prefixes + 1] = (prefixes[#prefixes] or "") .. path
    else
      local path = info[1]:format(...):gsub("^[^.]*", "")
      spans[#spans + 1] = { at = from - 1, size = size, value = value, bit = bit, width = width,
        path = ((prefixes[#prefixes] or "") .. path):gsub("^%.", ""), what = info[2],
        lsb = info.lsb }
    end
  end
  return spans, trace
end

--- Where each field of a message lies, in order.
---@param s string
---@return lariat.wire.Span[] spans
---@return string? message why it cannot be decoded
---@return integer size of the message, if it can
function Message:spans(s)
  misuse.check_self(self, Message, "spans")
  if type(s) ~= "string" then misuse.type(1, "spans", "string", s, s == nil) end
  local spans, trace = collector()
  compiled(self, "traced")
  registry.trace = trace
  self.traced(s, 1, #s, 1, 0) -- shows more of a message that is cut than can be decoded
  registry.trace = nil
  local value, next, info = self.plain(s, 1, #s, 1, 0)
  if value then return spans, nil, next - 1 end
  if type(next) ~= "number" then return spans, tostring(next), 0 end
  local _, why = runtime.lacking(s, next, info)
  return spans, why, 0
end

local function line_of(s, span)
  if not span.width then
    return ("%04x  %-26s %-32s %s"):format(span.at,
      hexadecimal(s:sub(span.at + 1, span.at + span.size)),
      span.path ~= "" and span.path or span.what, shown(span.value))
  end
  local first, last = span.bit // 8, (span.bit + span.width - 1) // 8
  local at = span.at + (span.lsb and 0 or first)
  local bytes = span.lsb and s:sub(span.at + 1, span.at + span.size) or
    s:sub(at + 1, span.at + last + 1)
  local bit = span.lsb and span.bit or span.bit - first * 8
  return ("%04x  %-26s %-32s %s"):format(at, binary(bytes, bit, span.width, span.lsb),
    span.path ~= "" and span.path or span.what, shown(span.value))
end

--- A hexdump with a line for each field.
---@param s string
---@return string
function Message:dump(s)
  misuse.check_self(self, Message, "dump")
  if type(s) ~= "string" then misuse.type(1, "dump", "string", s, s == nil) end
  local spans, err, size = self:spans(s)
  local lines, reached = {}, 0
  for i, span in ipairs(spans) do
    lines[i] = line_of(s, span)
    reached = math.max(reached, span.at + span.size)
  end
  if err then
    lines[#lines + 1] = ("%04x  %-26s ^ %s"):format(reached, hexadecimal(s:sub(reached + 1)), err)
  elseif size < #s then
    lines[#lines + 1] = ("%04x  %-26s %d bytes behind the message"):format(size,
      hexadecimal(s:sub(size + 1)), #s - size)
  end
  return table.concat(lines, "\n") .. "\n"
end
