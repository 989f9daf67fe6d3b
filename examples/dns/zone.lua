-- SPDX-License-Identifier: MIT
--
-- The zone of dns_server.lua: reads lines "NAME TYPE DATA" into
--   records[name][type] = { { address = ... } or { texts = { ... } }, ... }

local wire = require "lariat.wire"

local zone = {}

local EXAMPLE = [[
example.test        A     192.0.2.1
example.test        A     192.0.2.2
example.test        AAAA  2001:db8::1
example.test        TXT   hello from lariat
www.example.test    A     192.0.2.80
ipv6.example.test   AAAA  2001:db8::6
]]

local parse = {}

function parse.A(text) return wire.ipv4.from(text) and { address = text } end
function parse.AAAA(text) return wire.ipv6.from(text) and { address = text } end

-- Text is a sequence of pieces of at most 255 bytes.
function parse.TXT(text)
  if #text > 60000 then return nil end
  local pieces = {}
  for i = 1, math.max(#text, 1), 255 do pieces[#pieces + 1] = text:sub(i, i + 254) end
  return { texts = pieces }
end

local function valid_name(name)
  if #name > 253 then return false end
  for label in (name .. "."):gmatch "(.-)%." do
    if label == "" or #label > 63 then return false end
  end
  return true
end

local function add(records, line)
  local name, kind, text = line:match "^%s*(%S+)%s+(%S+)%s+(.-)%s*$"
  if not name then return false end
  name, kind = name:lower():gsub("%.$", ""), kind:upper()
  local data = parse[kind] and valid_name(name) and parse[kind](text)
  if not data then return false end
  -- Every name above this one exists, too, if only without data: it must not be NXDOMAIN.
  for at in ("." .. name):gmatch "()%." do
    local above = name:sub(at)
    records[above] = records[above] or {}
  end
  records[name][kind] = records[name][kind] or {}
  table.insert(records[name][kind], data)
  return true
end

--- Reads a zone file, or the example above.
---@param path? string
---@return table? records
---@return string? message
function zone.load(path)
  local text = EXAMPLE
  if path then
    local file, message = io.open(path, "rb")
    if not file then return nil, message end
    text, message = file:read "a"
    file:close()
    if not text then return nil, message end
  end
  local records, number = {}, 0
  for line in text:gmatch "([^\n]*)\n?" do
    number = number + 1
    line = line:gsub("#.*$", "")
    if line:find "%S" and not add(records, line) then
      return nil, ("%s:%d: NAME A|AAAA|TXT DATA expected"):format(path or "example", number)
    end
  end
  return records
end

return zone
