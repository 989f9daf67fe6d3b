-- SPDX-License-Identifier: MIT
--
-- Random messages as Wireshark sees them, cut at random into TCP segments or in datagrams: the
-- plugin that is made of a declaration, and Wireshark's own dissector, agree with our decoder on
-- every field.

local P = require "spec.wire.protocols"
local random = require "lariat.wire.random"
local wire = require "lariat.wire"
local wireshark = require "spec.support.wireshark"
local _ENV = wire.names(_ENV)

local SCALE = tonumber(os.getenv "SCALE") or 1
local COUNT = 300 // SCALE + 5

-- What a plugin should show -----------------------------------------------------------------------

local function bits_of(s, span)
  local v = 0
  if span.lsb then
    for i = 0, span.width - 1 do
      local at = span.bit + i
      v = v | (s:byte(span.at + at // 8 + 1) >> at % 8 & 1) << i
    end
    return v
  end
  for i = span.bit, span.bit + span.width - 1 do
    v = v << 1 | s:byte(span.at + i // 8 + 1) >> (7 - i % 8) & 1
  end
  return v
end

local function hex(s, separator)
  local parts = {}
  for i = 1, #s do parts[i] = ("%02x"):format(s:byte(i)) end
  return table.concat(parts, separator)
end

local function unsigned(v)
  if v >= 0 then return tostring(v) end
  local tenth = (v >> 1) // 5
  return ("%d%d"):format(tenth, v - tenth * 10)
end

local function varint_of(bytes)
  local v = 0
  for i = 1, #bytes do v = v | (bytes:byte(i) & 127) << 7 * (i - 1) end
  return v
end

-- A field as tshark prints it, by the name of its type.
local function printed(s, span)
  local bytes, what = s:sub(span.at + 1, span.at + span.size), span.what
  if what:find "^varint" or what == "zigzag" then return unsigned(varint_of(bytes)) end
  if what:find "^f%d" then return ("%.14g"):format(span.value) end
  if what == "flag" then return span.value and "1" or "0" end
  if span.width then return unsigned(bits_of(s, span)) end
  local sign, little = what:match "^([ui])%d+(.*)$"
  if sign then
    local v = string.unpack((little == "le" and "<" or ">") .. (sign == "u" and "I" or "i") ..
      #bytes, bytes)
    return sign == "u" and unsigned(v) or tostring(v)
  end
  local decides = #bytes == 1 or span.path:find "type$"
  if what:find "^bytes" and decides then return bytes end
  if what == "xor_address" or what == "rest" or what:find "^bytes" then return hex(bytes, ":") end
  if what == "dns_name" and span.value == "" then return "<Root>" end
  return tostring(span.value)
end

local function is_shown(span)
  local last = span.path:match "[^.]*$"
  return not (last:find "#$" or last:find "^%(" or span.what == "headers" or
    span.what == "rest" and span.size == 0 or span.what:find "^%(")
end

-- last name -> values, of a list of messages as bytes
local function expected(message, list)
  local fields = {}
  for _, bytes in ipairs(list) do
    local spans, why = message:spans(bytes)
    assert(not why, why)
    for _, span in ipairs(spans) do
      if is_shown(span) then
        local name = span.path:match("[^.]*$"):gsub("%[%d+%]$", ""):lower():gsub("[^%w_.]", "_")
        fields[name] = fields[name] or {}
        table.insert(fields[name], printed(bytes, span))
      end
    end
  end
  return fields
end

-- A field of another type, where there is one of its name already, is called after that as well.
local OTHER_TYPES = { ipv6 = "", ipv4 = "", double = "", string = "", uint64 = "", bytes = "" }
for bits = 8, 64, 8 do OTHER_TYPES["uint" .. bits], OTHER_TYPES["int" .. bits] = "", "" end

-- The same of what tshark said. Fields of one name may be in several places of a message; then only
-- their number and their values are compared, not their order.
local function shown(fields, prefix)
  local got = {}
  for name, values in pairs(fields) do
    local last = name:match("^" .. prefix .. "%.(.*)$")
    last = last and last:match "[^.]*$":gsub("_(%l+%d*)$", OTHER_TYPES)
    if last and not last:find "_none$" then
      got[last] = got[last] or {}
      for _, value in ipairs(values) do table.insert(got[last], value) end
    end
  end
  return got
end

-- Without those of no bytes, which Wireshark's own dissectors show or not.
local function sorted(list)
  local copy = {}
  for _, value in ipairs(list or {}) do copy[#copy + 1] = value ~= "" and value or nil end
  table.sort(copy)
  return copy
end

-- The first difference of two lists of values, in few words.
local function assert_values(name, want, got)
  want, got = sorted(want), sorted(got)
  for i = 1, math.max(#want, #got) do
    if want[i] ~= got[i] then
      error(("%s: %d values expected, got %d; %s expected, got %s"):format(name, #want, #got,
        tostring(want[i]), tostring(got[i])))
    end
  end
end

local function compare(want, got)
  for name, values in pairs(want) do assert_values(name, values, got[name]) end
end

-- Messages ----------------------------------------------------------------------------------------

-- Text that tshark prints as it is.
local function is_plain(message, bytes)
  for _, span in ipairs((message:spans(bytes))) do
    if type(span.value) == "string" and span.what ~= "rest" and not span.what:find '^["b]' and
        span.value:find "[^%g ]" then
      return false
    end
  end
  return true
end

-- So many random messages, as bytes; `adjust` makes each one that Wireshark's dissector accepts.
local function some(message, count, adjust)
  local list, seed = {}, 0
  while #list < count do
    seed = seed + 1
    local value = message:random(seed)
    if adjust then value = adjust(value, #list + 1) end
    local bytes = value and message:encode(value)
    if bytes and bytes ~= "" and is_plain(message, bytes) then list[#list + 1] = bytes end
  end
  return list
end

local function sizes(seed)
  local r, list = random(seed), {}
  for i = 1, 200 do list[i] = r(3) == 1 and r(5) or r(200) end
  return list
end

local function check_plugin(message, list, options)
  local name = "lariat_" .. message.name
  local packets = options.udp and wireshark.datagrams(list, options.port) or
    wireshark.stream(table.concat(list), options.port, sizes(7), options)
  local fields = wireshark.dissect(packets, { layer = name, plugin = message:dissector {
    port = options.port, transport = options.udp and "udp" or "tcp" } })
  compare(expected(message, list), shown(fields, name))
  return packets
end

describe("Wireshark's own dissector and ours agree with the declaration of", function()
  -- their field -> ours: values of ours are those of its plugin, or what `as` makes of them
  local function check_own(message, list, packets, layer, names)
    local theirs = wireshark.dissect(packets, { layer = layer })
    local ours = expected(message, list)
    ours.a_address, ours.aaaa_address = {}, {}
    for _, a in ipairs(ours.address or {}) do
      table.insert(a:find ":" and ours.aaaa_address or ours.a_address, a)
    end
    for field, name in pairs(names) do
      local as = type(name) == "table" and name[2] or function(v) return v end
      local want = {}
      for one in (type(name) == "table" and name[1] or name):gmatch "%S+" do
        for _, v in ipairs(ours[one] or {}) do want[#want + 1] = as(v) end
      end
      assert_values(field, want, theirs[field])
    end
  end

  local function hexadecimal(digits)
    return function(v) return ("0x%0" .. digits .. "x"):format(v) end
  end

  it("MQTT", function()
    local list = some(P.mqtt, COUNT, function(v, i)
      if i == 1 then v = { type = "CONNECT", keepalive = 5, client_id = "me" } end
      if v.type == "CONNECT" then v.protocol, v.level = "MQTT", 4 end
      if v.type == "PUBLISH" and v.qos == 3 then v.qos = 2 end
      for _, name in ipairs { "topic", "client_id", "username", "password", "will_topic" } do
        if v[name] == "" then v[name] = "x" end
      end
      if v.will_message == "" then return nil end
      for j, topic in ipairs(v.topics or {}) do v.topics[j] = topic == "" and "x" or topic end
      for _, filter in ipairs(v.filters or {}) do
        filter.qos = filter.qos % 3
        if filter.topic == "" then filter.topic = "x" end
      end
      return v
    end)
    local packets = check_plugin(P.mqtt, list, { port = 1883 })
    check_own(P.mqtt, list, packets, "mqtt", {
      ["mqtt.msgtype"] = "type", ["mqtt.len"] = "remaining", ["mqtt.topic"] = "topic topics",
      ["mqtt.msgid"] = "packet_id", ["mqtt.kalive"] = "keepalive", ["mqtt.clientid"] = "client_id",
      ["mqtt.username"] = "username", ["mqtt.passwd"] = "password", ["mqtt.msg"] = "payload",
      ["mqtt.willtopic"] = "will_topic",
    })
  end)

  local DNS = {
    ["dns.id"] = { "id", hexadecimal(4) }, ["dns.flags.response"] = "qr",
      ["dns.flags.opcode"] = "opcode",
    ["dns.flags.truncated"] = "tc", ["dns.flags.recdesired"] = "rd",
    ["dns.count.queries"] = "qdcount", ["dns.count.answers"] = "ancount",
    ["dns.count.auth_rr"] = "nscount", ["dns.count.add_rr"] = "arcount",
    ["dns.a"] = "a_address", ["dns.aaaa"] = "aaaa_address", ["dns.mx.preference"] = "preference",
    ["dns.mx.mail_exchange"] = "exchange", ["dns.srv.port"] = "port", ["dns.srv.weight"] = "weight",
    ["dns.soa.mname"] = "mname", ["dns.soa.serial_number"] = "serial", ["dns.resp.ttl"] = "ttl",
  }

  -- No update, no reserved opcode, for which Wireshark shows other fields; addresses by family.
  local function plain_dns(v)
    local m = v.message or v
    if m.opcode ~= "QUERY" then m.opcode = "QUERY" end
    for _, section in ipairs { "answers", "authorities", "additionals" } do
      for i = #m[section], 1, -1 do
        local t = m[section][i].type
        if t == "OPT" or t == "HTTPS" or t == "CAA" or t == "TXT" or t == "ANY" then
          table.remove(m[section], i)
        end
      end
    end
    return v
  end

  local function check_dns(message, list, options)
    check_own(message, list, check_plugin(message, list, options), "dns", DNS)
  end

  it("DNS over UDP", function()
    check_dns(P.dns, some(P.dns, COUNT, plain_dns), { port = 53, udp = true })
  end)

  it("DNS over TCP", function()
    check_dns(P.dns_tcp, some(P.dns_tcp, COUNT, plain_dns), { port = 53 })
  end)

  it("heads of HTTP requests", function()
    local list = some(P.request, COUNT, function(v)
      v.method, v.target, v.version = "GET", "/" .. v.target, "HTTP/1.1"
      return v
    end)
    local packets = check_plugin(P.request, list, { port = 80 })
    check_own(P.request, list, packets, "http", { ["http.request.method"] = "method",
      ["http.request.uri"] = "target", ["http.request.version"] = "version" })
  end)

  it("STUN", function()
    local list = some(P.stun, COUNT, function(v)
      v.type = v.type == "binding_request" and v.type or "binding_success"
      return v
    end)
    local packets = check_plugin(P.stun, list, { port = 3478, udp = true })
    check_own(P.stun, list, packets, "stun", {
      ["stun.id"] = { "id", function(v) return v end },
        ["stun.att.crc32"] = { "crc", hexadecimal(8) },
    })
  end)
end)

-- One run for all: tshark takes longer to start than to look at them.
describe("the plugins agree with our decoders", function()
  it("of text, of binary and of odd protocols", function()
    local packets, plugins, layers, lists = {}, {}, {}, {}
    for i, name in ipairs { "resp", "nats", "websocket", "memcached", "ipv4", "postgres", "png",
      "person", "numbers", "handshake", "quic", "udp_packet", "socks5_request",
        "syslog_counted" } do
      local m = P[name]
      lists[m] = some(m, COUNT // 5 + 2)
      local stream = wireshark.stream(table.concat(lists[m]), 9000 + i, sizes(i),
        { from = 40000 + i })
      table.move(stream, 1, #stream, #packets + 1, packets)
      plugins[i] = ("do\n%s\nend\n"):format(m:dissector { port = 9000 + i })
      layers[i] = "lariat_" .. m.name
    end
    local fields = wireshark.dissect(packets, { plugin = table.concat(plugins),
      layer = table.concat(layers, " ") })
    for m, list in pairs(lists) do
      compare(expected(m, list), shown(fields, "lariat_" .. m.name))
    end
  end)
end)

describe("a plugin", function()
  it("shows nothing twice, and no error, whatever the segments", function()
    local list = some(P.mqtt, 60)
    for _, cut in ipairs { { 1 }, { 1000 }, { 2, 3 } } do
      local packets = wireshark.stream(table.concat(list), 1883, cut)
      local fields = wireshark.dissect(packets, { layer = "lariat_mqtt",
        plugin = P.mqtt:dissector { port = 1883 } })
      assert.equal(60, #fields["lariat_mqtt.type"])
      assert.is_nil(fields["_ws.malformed"])
    end
  end)

  it("tells what is broken, at which offset", function()
    local fields = wireshark.dissect(wireshark.stream("\x30\3\0\9a", 1883, { 100 }), {
      layer = "lariat_mqtt", plugin = P.mqtt:dissector { port = 1883 } })
    assert.match("too short at offset 4", table.concat(fields["_ws.expert.message"], " "))
  end)

  it("goes on in a capture that begins in the middle of a stream", function()
    local list = some(P.mqtt, 5)
    local packets = wireshark.stream(table.concat(list), 1883, { 1000 }, { middle = true })
    local fields = wireshark.dissect(packets, { layer = "lariat_mqtt",
      plugin = P.mqtt:dissector { port = 1883 } })
    assert.equal(5, #fields["lariat_mqtt.type"])
  end)

  it("is chosen for a port that it was not made for", function()
    local list = some(P.mqtt, 3)
    local fields = wireshark.dissect(wireshark.stream(table.concat(list), 7777, { 9 }), {
      layer = "lariat_mqtt", plugin = P.mqtt:dissector(),
      arguments = { "-d", "tcp.port==7777,lariat_mqtt" } })
    assert.equal(3, #fields["lariat_mqtt.type"])
  end)

  it("is refused options that make no sense", function()
    assert.error_matches(function() P.mqtt:dissector { ports = 5 } end, "no such option 'ports'")
    assert.error_matches(function() P.mqtt:dissector { transport = "sctp" } end, "transport")
    assert.error_matches(function() P.mqtt:dissector { name = "a b" } end, "letters, digits")
  end)
end)
