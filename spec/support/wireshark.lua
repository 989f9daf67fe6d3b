-- SPDX-License-Identifier: MIT
--
-- Captures for Wireshark, and what tshark says of them. Packets are bare IPv4 (LINKTYPE_RAW).
--
--   local packets = wireshark.stream(bytes, port, sizes)      -- TCP, cut into segments
--   local fields = wireshark.dissect(packets, { plugin = text, layer = "lariat_mqtt" })
--   fields["lariat_mqtt.topic"]  -> every value, in order

local lariat = require "lariat"
local pack = string.pack

local wireshark = {}

local CLIENT, SERVER = 0x0a000001, 0x0a000002

local function ip(protocol, payload)
  return pack(">BBI2I2I2BBI2I4I4", 0x45, 0, 20 + #payload, 0, 0, 64, protocol, 0, CLIENT, SERVER) ..
    payload
end

local function tcp(from, to, seq, flags, payload)
  return ip(6, pack(">I2I2I4I4BBI2I2I2", from, to, seq, flags == 2 and 0 or 1, 0x50, flags, 65535,
    0, 0) ..
    payload)
end

--- The packets of one direction of a TCP connection, cut after sizes[1], sizes[2], ... bytes.
---@param options? {from?: integer, middle?: boolean} middle: the capture begins inside the stream
function wireshark.stream(bytes, port, sizes, options)
  local from = options and options.from or 40000
  local packets, at, i = {}, 1, 0
  if not (options and options.middle) then packets[1] = tcp(from, port, 1000, 2, "") end
  while at <= #bytes do
    i = i + 1
    local size = sizes[(i - 1) % #sizes + 1]
    packets[#packets + 1] = tcp(from, port, 1000 + at, 0x18, bytes:sub(at, at + size - 1))
    at = at + size
  end
  return packets
end

function wireshark.datagrams(list, port)
  local packets = {}
  for i, data in ipairs(list) do
    packets[i] = ip(17, pack(">I2I2I2I2", 40000, port, 8 + #data, 0) .. data)
  end
  return packets
end

local function capture(packets)
  local parts = { pack("<I4I2I2i4I4I4I4", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 101) }
  for i, packet in ipairs(packets) do
    parts[#parts + 1] = pack("<I4I4I4I4", i, 0, #packet, #packet) .. packet
  end
  return table.concat(parts)
end

-- JSON: objects keep their order and their duplicate names ----------------------------------------

local ESCAPES = { n = "\n", t = "\t", r = "\r", b = "\b", f = "\f" }

local function json_string(s, p)
  local parts = {}
  while true do
    local plain, c, q = s:match('^([^"\\]*)(["\\])()', p)
    parts[#parts + 1] = plain
    if c == '"' then return table.concat(parts), q end
    local e = s:sub(q, q)
    if e == "u" then
      parts[#parts + 1] = utf8.char(tonumber(s:sub(q + 1, q + 4), 16))
      p = q + 5
    else
      parts[#parts + 1] = ESCAPES[e] or e
      p = q + 1
    end
  end
end

-- Calls found(name, value) for each member whose value is a string.
local function json(s, p, found, name)
  p = s:match("^%s*()", p)
  local c = s:sub(p, p)
  if c == '"' then
    local value, q = json_string(s, p + 1)
    if name then found(name, value) end
    return q
  elseif c == "{" or c == "[" then
    p = s:match("^%s*()", p + 1)
    while not s:find("^[%]}]", p) do
      local key
      if c == "{" then
        key, p = json_string(s, p + 1)
        p = s:match("^%s*:()", p)
      end
      p = json(s, p, found, key or name)
      p = s:match("^%s*,?%s*()", p)
    end
    return p + 1
  end
  return s:match("^[%w.+-]+()", p)
end

-- tshark -----------------------------------------------------------------------------------------

local function temporary(text)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
  return path
end

-- It complains of running as root, and of nothing else that we could cause.
local function complaints(text)
  local lines = {}
  for line in text:gmatch "[^\n]+" do
    if not line:find "^Running as user" then lines[#lines + 1] = line end
  end
  return table.concat(lines, "\n")
end

--- The fields that tshark sees: name -> list of values, over all packets in order. A plugin that
--- fails is an error, which tshark itself does not make of it.
---@param packets string[]
---@param options {plugin?: string, layer: string, arguments?: string[]}
function wireshark.dissect(packets, options)
  local path = temporary(capture(packets))
  local plugin = options.plugin and temporary(options.plugin)
  local command = { "tshark", "-r", path, "-n", "-T", "json", "-J", options.layer, stderr = "pipe" }
  if plugin then table.move({ "-X", "lua_script:" .. plugin }, 1, 2, #command + 1, command) end
  table.move(options.arguments or {}, 1, #(options.arguments or {}), #command + 1, command)
  local child <close> = assert(lariat.run(command))
  local out, told = child.stdout:receive "*a" or "", child.stderr:receive "*a" or ""
  child:wait()
  os.remove(path)
  if plugin then os.remove(plugin) end
  told = complaints(told)
  if told ~= "" or out == "" then error("tshark: " .. told) end
  local fields = {}
  json(out, 1, function(name, value)
    fields[name] = fields[name] or {}
    table.insert(fields[name], value)
  end)
  return fields
end

return wireshark
