-- SPDX-License-Identifier: MIT
--
-- Codecs as one would write them by hand with string.pack and string.unpack: what bench/wire.lua
-- compares with. Each has a message, the declaration, decode(s, p) -> table, next and encode(t) ->
-- bytes; they check what any decoder must: that the bytes are there, and constants.

local byte, find, match, sub = string.byte, string.find, string.match, string.sub
local pack, unpack = string.pack, string.unpack
local wire = require "lariat.wire"
local mqtt, resp = require "examples.wire.mqtt", require "examples.wire.resp"
local socks5 = require "examples.wire.socks5"
local protocols = require "spec.wire.protocols"

local hand = {}

-- One table of numbers ---------------------------------------------------------------------------

local KIND, KIND_OF = { [1] = "ping", [2] = "pong" }, { ping = 1, pong = 2 }
hand.tiny = {
  message = wire.message "tiny" { wire.u8 "kind" (KIND_OF), wire.u16 "id", wire.u32 "value" },
  value = { kind = "pong", id = 513, value = 70000 },
  decode = function(s, p)
    if #s - p < 6 then return nil end
    local kind, id, value = unpack(">BI2I4", s, p)
    return { kind = KIND[kind] or kind, id = id, value = value }, p + 7
  end,
  encode = function(t) return pack(">BI2I4", KIND_OF[t.kind] or t.kind, t.id, t.value) end,
}

local MAGIC, MAGIC_OF = { [128] = "request", [129] = "response" }, { request = 128, response = 129 }
local OPCODE, OPCODE_OF = { [0] = "get", "set", "add" }, { get = 0, set = 1, add = 2 }
hand.memcached = {
  message = protocols.memcached,
  value = { magic = "request", opcode = "set", data_type = 0, status = 0, opaque = 7, cas = 0,
    extras = "\0\0\0\0\0\0\0\0", key = "lariat:1234", value = ("v"):rep(40) },
  decode = function(s, p)
    if #s - p < 23 then return nil end
    local magic, opcode, keys, extras, kind, status, body, opaque, cas, q =
      unpack(">BBI2BBI2I4I4I8", s, p)
    if #s - q + 1 < body or extras + keys > body then return nil end
    return {
      magic = MAGIC[magic] or magic, opcode = OPCODE[opcode] or opcode, data_type = kind,
      status = status, opaque = opaque, cas = cas, extras = sub(s, q, q + extras - 1),
      key = sub(s, q + extras, q + extras + keys - 1),
      value = sub(s, q + extras + keys, q + body - 1),
    }, q + body
  end,
  encode = function(t)
    return pack(">BBI2BBI2I4I4I8", MAGIC_OF[t.magic], OPCODE_OF[t.opcode], #t.key, #t.extras,
      t.data_type, t.status, #t.extras + #t.key + #t.value, t.opaque, t.cas) .. t.extras .. t.key ..
      t.value
  end,
}

-- A length in front, branches --------------------------------------------------------------------

hand.mqtt = {
  message = mqtt,
  value = { type = "PUBLISH", dup = false, qos = 1, retain = true, topic = "rope/lariat/4",
    packet_id = 77, payload = ("p"):rep(60) },
  decode = function(s, p)
    local first, length = byte(s, p, p + 1)
    if not length then return nil end
    local kind = first >> 4
    p = p + 2
    if length > 127 then
      length = length & 127
      local shift = 7
      local b
      repeat
        b = byte(s, p)
        if not b then return nil end
        length, shift, p = length | (b & 127) << shift, shift + 7, p + 1
      until b < 128
    end
    local e = p + length - 1
    if e > #s then return nil end
    if kind ~= 3 then return nil, "not in this benchmark" end
    local size = unpack(">I2", s, p)
    local topic = sub(s, p + 2, p + 1 + size)
    p = p + 2 + size
    if p > e then return nil, "too short" end
    local qos, packet_id = first >> 1 & 3, nil
    if qos ~= 0 then
      packet_id, p = unpack(">I2", s, p)
    end
    return { type = "PUBLISH", dup = first & 8 ~= 0, qos = qos, retain = first & 1 ~= 0,
      topic = topic, packet_id = packet_id, payload = sub(s, p, e) }, e + 1
  end,
  encode = function(t)
    local body = pack(">s2", t.topic)
    if t.qos ~= 0 then body = body .. pack(">I2", t.packet_id) end
    body = body .. t.payload
    local first = 3 << 4 | (t.dup and 8 or 0) | t.qos << 1 | (t.retain and 1 or 0)
    if #body < 128 then return pack("BB", first, #body) .. body end
    local length, out = #body, string.char(first)
    repeat
      local b = length & 127
      length = length >> 7
      out = out .. string.char(length > 0 and b | 128 or b)
    until length == 0
    return out .. body
  end,
}

hand.socks5 = {
  message = socks5.request,
  value = { command = "connect", kind = "name", host = "lariat.example.org", port = 443 },
  decode = function(s, p)
    if #s - p < 4 then return nil end
    local version, command, zero, kind, size = byte(s, p, p + 4)
    if version ~= 5 or zero ~= 0 then return nil, "not SOCKS 5" end
    if kind ~= 3 then return nil, "not in this benchmark" end
    p = p + 5
    if #s - p + 1 < size + 2 then return nil end
    return { command = command == 1 and "connect" or command, kind = "name",
      host = sub(s, p, p + size - 1), port = unpack(">I2", s, p + size) }, p + size + 2
  end,
  encode = function(t)
    return pack(">BBBBs1I2", 5, t.command == "connect" and 1 or t.command, 0, 3, t.host, t.port)
  end,
}

-- Bits, a mask -----------------------------------------------------------------------------------

local OPCODES = { [0] = "continuation", "text", "binary", [8] = "close", [9] = "ping",
  [10] = "pong" }
local OPCODES_OF = { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 }
hand.websocket = {
  message = protocols.websocket,
  value = { fin = true, rsv = 0, opcode = "text", masked = false, payload = ("w"):rep(60) },
  decode = function(s, p)
    local a, b = byte(s, p, p + 1)
    if not b then return nil end
    local length = b & 127
    p = p + 2
    if length > 125 or b > 127 then return nil, "not in this benchmark" end
    if #s - p + 1 < length then return nil end
    local opcode = a & 15
    return { fin = a & 128 ~= 0, rsv = a >> 4 & 7, opcode = OPCODES[opcode] or opcode,
      masked = false, payload = sub(s, p, p + length - 1) }, p + length
  end,
  encode = function(t)
    return string.char((t.fin and 128 or 0) | t.rsv << 4 | OPCODES_OF[t.opcode], #t.payload) ..
      t.payload
  end,
}

-- Text -------------------------------------------------------------------------------------------

local function decode_resp(s, p)
  local kind = byte(s, p)
  if not kind then return nil end
  local size, q = match(s, "^(%-?%d+)\r\n()", p + 1)
  if not size then return nil end
  size = math.tointeger(size)
  if kind == 42 then
    local items = {}
    for i = 1, size do
      local item
      item, q = decode_resp(s, q)
      if not item then return nil end
      items[i] = item
    end
    return { kind = "array", items = items }, q
  elseif kind == 36 then
    if #s < q + size + 1 then return nil end
    if sub(s, q + size, q + size + 1) ~= "\r\n" then return nil, "no end" end
    return { kind = "bulk", data = sub(s, q, q + size - 1) }, q + size + 2
  end
  return nil, "not in this benchmark"
end

local function encode_resp(t)
  if t.kind == "bulk" then return "$" .. #t.data .. "\r\n" .. t.data .. "\r\n" end
  local out = { "*" .. #t.items .. "\r\n" }
  for i, item in ipairs(t.items) do out[i + 1] = encode_resp(item) end
  return table.concat(out)
end

hand.resp = {
  message = resp,
  value = { kind = "array", items = { { kind = "bulk", data = "SET" },
    { kind = "bulk", data = "rope:1234" }, { kind = "bulk", data = ("x"):rep(32) } } },
  decode = decode_resp,
  encode = encode_resp,
}

hand.nats = {
  message = protocols.nats,
  value = { verb = "PUB", subject = "rope.lariat", payload = ("n"):rep(40) },
  decode = function(s, p)
    local e = find(s, "\r\n", p, true)
    if not e then return nil end
    local verb, subject, rest = match(s, "^(%S+) (%S+) ([^\r\n]+)", p)
    if verb ~= "PUB" then return nil, "not in this benchmark" end
    local reply, size = match(rest, "^(%S+) (%d+)$")
    size = math.tointeger(size or rest)
    if not size then return nil, "not a number" end
    if #s < e + 3 + size then return nil end
    if sub(s, e + 2 + size, e + 3 + size) ~= "\r\n" then return nil, "no end" end
    return { verb = verb, subject = subject, reply = reply, payload = sub(s, e + 2, e + 1 + size) },
      e + 4 + size
  end,
  encode = function(t)
    local reply = t.reply and t.reply .. " " or ""
    return "PUB " .. t.subject .. " " .. reply .. #t.payload .. "\r\n" ..
      t.payload .. "\r\n"
  end,
}

return hand
