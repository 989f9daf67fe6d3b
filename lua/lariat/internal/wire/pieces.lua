-- SPDX-License-Identifier: MIT
--
-- What an encoder will write: a list of pieces, linked backwards, so that branches share what came
-- before them. A piece is a number for pack() { fmt, size, arg }, a string { expr, len }, or a mark
-- without bytes of its own. They become one expression at the end; so a length is the sum of its
-- pieces' sizes, and no string is built twice.

local Decoder = require "lariat.internal.wire.decode_run"
local Source = require "lariat.internal.wire.source"

local pieces = {}

local MOST_ARGUMENTS = 50 -- of a pack() or a concatenation: registers are scarce

--- A number. `len`: the expression of the bytes that pack() adds to it.
function pieces.number(previous, n, arg)
  return { prev = previous, fmt = n.fmt, size = n.size, arg = arg,
    plain = n.kind ~= "float" and not n.signed and n.size <= 2 }
end

--- A string in a variable, or a constant.
function pieces.text(previous, expr, len)
  return { prev = previous, expr = expr, len = len or "#" .. expr }
end

--- The pieces after `stop`, in order.
function pieces.list(last, stop)
  local list = {}
  while last ~= stop do
    list[#list + 1] = last
    last = last.prev
  end
  for i = 1, #list // 2 do list[i], list[#list + 1 - i] = list[#list + 1 - i], list[i] end
  return list
end

--- The expression of how many bytes the pieces after `stop` are.
function pieces.length(last, stop)
  local known, parts = 0, {}
  for _, piece in ipairs(pieces.list(last, stop)) do
    known = known + (piece.size or 0)
    if math.type(piece.len) == "integer" then
      known = known + piece.len
    elseif piece.len then
      parts[#parts + 1] = piece.len
    end
  end
  if known > 0 or not parts[1] then table.insert(parts, 1, tostring(known)) end
  return table.concat(parts, " + ")
end

--- The pieces after `stop`, put behind others instead.
function pieces.move(last, stop, onto)
  for _, piece in ipairs(pieces.list(last, stop)) do
    local copy = {}
    for key, value in pairs(piece) do copy[key] = value end
    copy.prev = onto
    onto = copy
  end
  return onto
end

-- Up to four bytes are made by char(), which is faster than pack().
local function small(run)
  local total, arguments = 0, {}
  for _, piece in ipairs(run) do
    total = total + piece.size
    if not piece.plain or piece.len then return nil end
    if piece.size == 1 then
      arguments[#arguments + 1] = piece.arg
    else
      local high, low = ("(%s) >> 8"):format(piece.arg), ("(%s) & 255"):format(piece.arg)
      if piece.fmt:find "^<" then high, low = low, high end
      arguments[#arguments + 1] = high
      arguments[#arguments + 1] = low
    end
  end
  if total > 4 then return nil end
  return total == 1 and ("B[%s]"):format(arguments[1]) or
    ("char(%s)"):format(table.concat(arguments, ", "))
end

local function packed(run)
  local formats, arguments = {}, {}
  for i, piece in ipairs(run) do formats[i], arguments[i] = piece.fmt, piece.arg end
  return ("pack(%s, %s)"):format(Source.quote(Decoder.join_formats(formats)),
    table.concat(arguments, ", "))
end

local function joined(parts)
  if #parts <= MOST_ARGUMENTS then return table.concat(parts, " .. ") end
  local groups = {}
  for i = 1, #parts, MOST_ARGUMENTS do
    groups[#groups + 1] = "(" ..
      table.concat(parts, " .. ", i, math.min(i + MOST_ARGUMENTS - 1, #parts)) .. ")"
  end
  return joined(groups)
end

--- The expression of the bytes of all pieces after `stop`.
function pieces.build(last, stop)
  local parts, run = {}, {}
  local function flush()
    if run[1] then parts[#parts + 1] = small(run) or packed(run) end
    run = {}
  end
  for _, piece in ipairs(pieces.list(last, stop)) do
    if piece.fmt then
      if #run == MOST_ARGUMENTS then flush() end
      run[#run + 1] = piece
    elseif piece.expr then
      flush()
      parts[#parts + 1] = piece.expr
    end
  end
  flush()
  if not parts[1] then return '""' end
  -- A concatenation raises for what is no string, a byte out of range among others: one part, too.
  if not parts[2] then parts[2] = "''" end
  return joined(parts)
end

return pieces
