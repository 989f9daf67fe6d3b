-- SPDX-License-Identifier: MIT
--
-- The trace of a run as text: a column for each host, and for each packet a line with the moment it
-- was sent, an arrow, and what it was. The arrow of a packet that did not arrive ends in an x.

local ladder = {}

local GAP = 4 -- between columns, at least

-- Hosts that sent or got nothing have no column.
local function columns_of(trace, names)
  local used, columns, at = {}, {}, 12
  for _, packet in ipairs(trace) do used[packet.from], used[packet.to] = true, true end
  for _, name in ipairs(names) do
    if used[name] then
      columns[#columns + 1] = { name = name, at = at }
      columns[name] = at
      at = at + #name + GAP
    end
  end
  columns.width = at
  return columns
end

local function heading(columns)
  local line = "     time  "
  for _, column in ipairs(columns) do
    line = line .. (" "):rep(column.at - #line - 1) .. column.name
  end
  return line
end

local function rails(columns)
  local cells = {}
  for i = 1, columns.width do cells[i] = " " end
  for _, column in ipairs(columns) do cells[column.at] = "|" end
  return cells
end

local function draw_arrow(cells, from, to, arrived)
  local step = from < to and 1 or -1
  local last = arrived and to - step or from + (to - from) // 2
  for i = from + step, last, step do cells[i] = "-" end
  cells[last] = arrived and (step > 0 and ">" or "<") or "x"
end

local function describe(packet)
  local words = { packet.kind }
  if packet.size > 0 then words[#words + 1] = packet.size .. " B" end
  words[#words + 1] = ("%d > %d"):format(packet.source, packet.target)
  if packet.kind == "data" then words[#words + 1] = "at " .. packet.sequence end
  if packet.attempt > 1 then words[#words + 1] = "attempt " .. packet.attempt end
  if packet.duplicate then words[#words + 1] = "duplicate" end
  if packet.verdict ~= "delivered" then words[#words + 1] = packet.verdict:upper() end
  if packet.arrival then
    words[#words + 1] = ("+%.3f ms"):format((packet.arrival - packet.time) * 1000)
  end
  return table.concat(words, ", ")
end

local ARRIVED = { delivered = true, refused = true, full = true }

local function line_of(packet, columns)
  local cells = rails(columns)
  local from, to = columns[packet.from], columns[packet.to] or columns.width
  if from ~= to then draw_arrow(cells, from, to, ARRIVED[packet.verdict]) end
  return ("%10.6f "):format(packet.time) .. table.concat(cells, "", 12) .. " " .. describe(packet)
end

--- The lines of the text.
---@param trace table[] packets
---@param names string[] of the hosts, in the order of the columns
---@param last? integer only so many packets, the last ones
---@return string[]
function ladder.lines(trace, names, last)
  local columns = columns_of(trace, names)
  local lines = { heading(columns) }
  local first = last and math.max(1, #trace - last + 1) or 1
  if first > 1 then lines[2] = ("(%d packets before)"):format(first - 1) end
  for i = first, #trace do lines[#lines + 1] = line_of(trace[i], columns) end
  return lines
end

return ladder
