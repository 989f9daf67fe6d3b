-- SPDX-License-Identifier: MIT
--
-- A declaration as a document: the box diagram that RFCs have, for what comes first and has a fixed
-- size, and a table of all fields, in Markdown.

local Message = require "lariat.wire.node".Message
local misuse = require "lariat.misuse"
local node = require "lariat.wire.node"
local registry = require "lariat.wire.registry"

-- Diagram ----------------------------------------------------------------------------------------

local ROW = 32 -- bits

-- What has a fixed size at the beginning: { text, bits } each.
local function cells_of(seq)
  local cells = {}
  local function add(seq_)
    for _, n in ipairs(seq_) do
      if n.kind == "group" then
        for _, f in ipairs(n) do cells[#cells + 1] = { f.name or "", f.w } end
        if n[#n].wide then return false end
      elseif n.kind == "record" or n.inside or n.kind == "check" then
        if not add(n.fields) then return false end
        if n.kind == "check" and node.is(n.what) then
          cells[#cells + 1] = { "checksum", n.what.size * 8 }
        end
      elseif n.size then
        cells[#cells + 1] = { n.name or n.const and tostring(n.const) or "", n.size * 8 }
      elseif node.is(n.len) and n.len.kind == "int" then
        cells[#cells + 1] = { n.lenname or (n.name or "") .. " length", n.len.size * 8 }
        return false
      else
        return false
      end
    end
    return true
  end
  add(seq)
  return cells
end

local function centred(text, width)
  if #text > width then text = text:sub(1, width) end
  local left = (width - #text) // 2
  return (" "):rep(left) .. text .. (" "):rep(width - #text - left)
end

-- The cells cut into rows; { text, bits, continued } each.
local function rows_of(cells)
  local rows, row, room = {}, {}, ROW
  for _, cell in ipairs(cells) do
    local bits, continued = cell[2], false
    while bits > 0 do
      local here = math.min(bits, room)
      row[#row + 1] = { continued and "..." or cell[1], here }
      bits, room, continued = bits - here, room - here, true
      if room == 0 then
        rows[#rows + 1] = row
        row, room = {}, ROW
      end
    end
  end
  if row[1] then rows[#rows + 1] = row end
  return rows
end

local MOST_ROWS = 24

local function diagram(seq)
  local rows = rows_of(cells_of(seq))
  if not rows[1] then return nil end
  local out = {
    " 0                   1                   2                   3  ",
    " 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1",
  }
  local function border(bits) return ("+-"):rep(bits) .. "+" end
  local widest = 0
  for i, row in ipairs(rows) do
    local text, bits = { "|" }, 0
    for _, cell in ipairs(row) do
      text[#text + 1] = centred(cell[1], 2 * cell[2] - 1) .. "|"
      bits = bits + cell[2]
    end
    out[#out + 1] = border(math.max(bits, widest))
    if i > MOST_ROWS then
      out[#out + 1] = ("%d more rows"):format(#rows - MOST_ROWS)
      return out
    end
    out[#out + 1] = table.concat(text)
    widest = bits
  end
  out[#out + 1] = border(widest)
  return out
end

-- Table ------------------------------------------------------------------------------------------

local function length_text(len)
  if node.is(len) then return node.title(len) end
  return "`" .. tostring(len) .. "`"
end

local function size_text(n)
  if n.kind == "bits" then
    return n.wide and ("%d bits or more"):format(n.w) or n.w == 1 and "1 bit" or
      ("%d bits"):format(n.w)
  end
  if n.size then return n.size == 1 and "1 byte" or ("%d bytes"):format(n.size) end
  if n.kind == "str" then return ("%s, then as many bytes"):format(length_text(n.len)) end
  if n.kind == "upto" then return "up to " .. node.quote(n.delim) end
  if n.kind == "word" then return "up to a space" end
  if n.kind == "rest" then return "the rest" end
  if n.kind == "varint" then return ("1 to %d bytes"):format(n.most) end
  if n.kind == "quicint" then return "1 to 8 bytes" end
  return ""
end

local function values_text(n)
  local notes = {}
  if n.const ~= nil then
    notes[1] = ("always `%s`"):format(type(n.const) == "string" and node.quote(n.const) or n.const)
  end
  if n.enum and next(n.enum) then
    local names = {}
    for name in pairs(n.enum) do names[#names + 1] = name end
    table.sort(names, function(a, b)
      local x, y = n.enum[a], n.enum[b]
      return type(x) == type(y) and x < y or type(x) == "number" and type(y) ~= "number"
    end)
    for i, name in ipairs(names) do
      local v = n.enum[name]
      names[i] = type(v) == "string" and ("%s = `%s`"):format(name, v) or
        ("%s = %d"):format(name, v)
    end
    notes[#notes + 1] = table.concat(names, ", ")
  end
  if n.derived then
    local user = n.derived
    notes[#notes + 1] = user.kind == "check" and "checksum" or user.kind == "list" and
      ("how many `%s`"):format(user.name) or user.kind == "str" and
      ("how many bytes `%s` has"):format(user.name) or
      ("length%s"):format(user.unit and (", in steps of %d bytes"):format(user.unit) or "")
  end
  if n.absent then notes[#notes + 1] = ("not there if %d"):format(n.absent) end
  return table.concat(notes, "; ")
end

local rows

local function row(out, indent, name, kind, size, notes)
  out[#out + 1] = ("| %s%s | %s | %s | %s |"):format(("&nbsp;&nbsp;"):rep(indent), name, kind, size,
    (notes:gsub("|", "\\|")))
end

local function field_row(out, n, indent)
  local name, title = n.name and "`" .. n.name .. "`" or "", node.title(n):gsub("|", "\\|")
  row(out, indent, name, title, size_text(n), values_text(n))
end

-- Cases that are the same table of the script are one.
local function case_rows(out, n, indent)
  local done = {}
  for _, key in ipairs(n.keys) do
    local source = n.cases[key].source
    if not done[source] then
      done[source] = true
      local keys = {}
      for _, other in ipairs(n.keys) do
        if n.cases[other].source == source then keys[#keys + 1] = tostring(other) end
      end
      local default = keys[1] == "default"
      row(out, indent, default and "*otherwise*" or
        ("*if `%s` is %s*"):format(n.on, table.concat(keys, ", ")), "", "",
        n.cases[key][1] and "" or "nothing")
      rows(out, n.cases[key], indent + 1)
    end
  end
end

local ROWS = {
  group = function(out, n, indent)
    for _, f in ipairs(n) do field_row(out, f, indent) end
  end,
  switch = case_rows,
  when = function(out, n, indent)
    row(out, indent, n.value ~= nil and ("*if `%s` is %s*"):format(n.on, tostring(n.value)) or
      ("*if `%s`*"):format(n.on), "", "", "")
    rows(out, n.fields, indent + 1)
  end,
  optional = function(out, n, indent)
    row(out, indent, "*if anything is left*", "", "", "")
    rows(out, n.fields, indent + 1)
  end,
  size = function(out, n, indent)
    local unit = n.unit and (", in steps of %d bytes"):format(n.unit) or ""
    local name = n.lenname and "`" .. n.lenname .. "`" or ""
    row(out, indent, name, "scope", length_text(n.len) .. unit, "")
    rows(out, n.fields, indent + 1)
  end,
  scope = function(out, n, indent)
    row(out, indent, "", "scope", size_text { kind = "upto", delim = n.delim }, "")
    rows(out, n.fields, indent + 1)
  end,
  check = function(out, n, indent)
    row(out, indent, "", "checksum", "", node.is(n.what) and node.title(n.what) .. " behind" or
      "`" .. n.what .. "`")
    rows(out, n.fields, indent + 1)
  end,
  through = function(out, n, indent)
    row(out, indent, "", "encoded once more", "", "")
    rows(out, n.fields, indent + 1)
  end,
  record = function(out, n, indent)
    row(out, indent, "`" .. n.name .. "`", "record", "", "")
    rows(out, n.fields, indent + 1)
  end,
  list = function(out, n, indent)
    local count = n.len == "rest" and "as many as fit" or n.len == "till" and
      ("up to `%s` = %s"):format(n.till.till, tostring(n.till.value)) or
      length_text(n.len) .. " items"
    local item = n.item[1]
    local of = n.isrecord and "list" or item.kind == "ref" and
      ("list of %s"):format(registry.target(item).name) or "list of " .. node.title(item)
    local known = n.isrecord and out.lists[n.item.source]
    row(out, indent, "`" .. n.name .. "`", of, count, known and ("as `%s`"):format(known) or
      n.absent and ("not there if %d"):format(n.absent) or "")
    if not n.isrecord or known then return end
    out.lists[n.item.source] = n.name
    rows(out, n.item, indent + 1)
  end,
  ref = function(out, n, indent)
    row(out, indent, "`" .. n.name .. "`", "message " .. registry.target(n).name, "", "")
  end,
}

function rows(out, seq, indent)
  for _, n in ipairs(seq) do
    if ROWS[n.kind] then
      ROWS[n.kind](out, n, indent)
    elseif n.fields then
      rows(out, n.fields, indent)
    else
      field_row(out, n, indent)
    end
  end
end

--- A description in Markdown: a diagram of the fixed beginning, and a table of the fields.
---@return string
function Message:describe()
  misuse.check_self(self, Message, "describe")
  local out = { "## " .. self.name, "", lists = {} } -- lists: what items have been shown already
  local boxes = diagram(self.seq)
  if boxes then
    out[#out + 1] = "```"
    table.move(boxes, 1, #boxes, #out + 1, out)
    out[#out + 1] = "```"
    out[#out + 1] = ""
  end
  out[#out + 1] = "| Field | Type | Size | Values |"
  out[#out + 1] = "|---|---|---|---|"
  rows(out, self.seq, 0)
  return table.concat(out, "\n") .. "\n"
end
