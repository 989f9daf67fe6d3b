-- SPDX-License-Identifier: MIT
--
-- The zone of dns_server.lua: reads lines "NAME TYPE DATA" into
--   records[name][type number] = { data as it is sent, ... }

local zone = {}

local EXAMPLE = [[
example.test        A     192.0.2.1
example.test        A     192.0.2.2
example.test        AAAA  2001:db8::1
example.test        TXT   hello from lariat
www.example.test    A     192.0.2.80
ipv6.example.test   AAAA  2001:db8::6
]]

local TYPES = { A = 1, TXT = 16, AAAA = 28 }
local encode = {}

function encode.A(text)
  local bytes = { text:match "^(%d+)%.(%d+)%.(%d+)%.(%d+)$" }
  if #bytes == 0 then return nil end
  for i, byte in ipairs(bytes) do
    bytes[i] = math.tointeger(byte)
    if bytes[i] > 255 then return nil end
  end
  return string.char(table.unpack(bytes))
end

-- "2001:db8::1" -> 16 bytes: each group two of them, "::" as many zeros as are missing.
function encode.AAAA(text)
  local function pack_groups(part)
    if part == "" then return "" end
    local packed = {}
    for group in (part .. ":"):gmatch "(.-):" do
      if not group:find "^%x%x?%x?%x?$" then return nil end
      packed[#packed + 1] = string.pack(">I2", tonumber(group, 16))
    end
    return table.concat(packed)
  end
  local head, tail = text:match "^(.-)::(.*)$"
  local front, back = pack_groups(head or text), pack_groups(tail or "")
  if not front or not back then return nil end
  local missing = 16 - #front - #back
  if missing < 0 or (missing == 0) == (head ~= nil) then return nil end
  return front .. ("\0"):rep(missing) .. back
end

-- Text is a sequence of pieces of at most 255 bytes, each with its length in front.
function encode.TXT(text)
  local pieces = {}
  for i = 1, math.max(#text, 1), 255 do
    pieces[#pieces + 1] = string.pack("s1", text:sub(i, i + 254))
  end
  local data = table.concat(pieces)
  return #data <= 60000 and data or nil
end

local function valid_name(name)
  if #name > 253 then return false end
  for label in (name .. "."):gmatch "(.-)%." do
    if label == "" or #label > 63 then return false end
  end
  return true
end

local function add(records, line)
  local name, type_name, text = line:match "^%s*(%S+)%s+(%S+)%s+(.-)%s*$"
  if not name then return false end
  name, type_name = name:lower():gsub("%.$", ""), type_name:upper()
  local data = TYPES[type_name] and valid_name(name) and encode[type_name](text)
  if not data then return false end
  -- Every name above this one exists, too, if only without data: it must not be NXDOMAIN.
  for at in ("." .. name):gmatch "()%." do
    local above = name:sub(at)
    records[above] = records[above] or {}
  end
  local kind = TYPES[type_name]
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
