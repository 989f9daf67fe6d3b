-- SPDX-License-Identifier: MIT
--
-- Protocols as they would be declared, by name: those that ship as examples and those that show
-- what else the notation can say.

local wire = require "lariat.wire"
local _ENV = wire.names(_ENV)
local byte, char, pack, unpack = string.byte, string.char, string.pack, string.unpack

local P = {
  mqtt = require "examples.wire.mqtt", resp = require "examples.wire.resp",
  stun = require "examples.wire.stun", ntp = require "examples.wire.ntp",
  tftp = require "examples.wire.tftp",
}
for name, message in pairs(require "examples.wire.dns") do P[name] = message end
for name, message in pairs(require "examples.wire.socks5") do P["socks5_" .. name] = message end
for name, message in pairs(require "examples.wire.syslog") do P["syslog_" .. name] = message end

-- Text -------------------------------------------------------------------------------------------

P.request = message "http_request" {
  upto " " "method", upto " " "target", line "version", headers "headers" }
P.response = message "http_response" {
  upto " " "version", number(upto " ") "status", line "reason", headers "headers" }

local payload = { str "size" "payload", "\r\n" }
P.nats = message "nats" {
  line { word "verb", switch "verb" {
    PUB = { word "subject", optional { word "reply" }, number(word) "size" },
    MSG = { word "subject", word "sid", optional { word "reply" }, number(word) "size" },
    SUB = { word "subject", optional { word "queue" }, word "sid" },
    UNSUB = { word "sid" },
    ["INFO CONNECT -ERR"] = { rest "text" },
    ["PING PONG +OK"] = {},
  } },
  switch "verb" { ["PUB MSG"] = payload, default = {} },
}

-- Binary -----------------------------------------------------------------------------------------

local function mask(data, key)
  if not key then return data end
  local a, b, c, d = byte(key, 1, 4)
  local out, n, k, full = {}, 0, unpack(">I8", key .. key), #data - #data % 8
  for i = 1, full, 8 do
    n = n + 1
    out[n] = pack(">I8", unpack(">I8", data, i) ~ k)
  end
  local keys = { a, b, c, d }
  for i = full + 1, #data do
    n = n + 1
    out[n] = char(byte(data, i) ~ keys[(i - 1) % 4 + 1])
  end
  return table.concat(out)
end

P.websocket = message "websocket" {
  flag "fin", bits(3) "rsv",
  bits(4) "opcode" { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 },
  flag "masked", escaped(bits(7), { [126] = u16, [127] = u64 }) "length",
  when "masked" { bytes(4) "key" },
  size "length" { through { decode = mask, encode = mask, uses = { "key" } } { rest "payload" } },
}

P.memcached = message "memcached" {
  u8 "magic" { request = 0x80, response = 0x81 },
  u8 "opcode" { get = 0, set = 1, add = 2, replace = 3, delete = 4, increment = 5, quit = 7,
    noop = 10, version = 11 },
  u16 "key_length", u8 "extras_length", u8 "data_type", u16 "status", u32 "body_length",
  u32 "opaque", u64 "cas",
  size "body_length" { str "extras_length" "extras", str "key_length" "key", rest "value" },
}

P.quic = message "quic" {
  bits(1) "form" (1), bits(1) "fixed" (1),
  bits(2) "type" { initial = 0, zero_rtt = 1, handshake = 2, retry = 3 }, bits(4) "low",
  u32 "version", str(u8) "destination", str(u8) "source",
  switch "type" { initial = { str(quicint) "token" }, default = {} },
  size(quicint, "length") { rest "payload" },
}

-- Messages that have their own length in them, and checksums --------------------------------------

local function sum16(s)
  local n = 0
  if #s % 2 == 1 then s = s .. "\0" end
  for i = 1, #s, 2 do n = n + unpack(">I2", s, i) end
  while n > 0xffff do n = (n & 0xffff) + (n >> 16) end
  return ~n & 0xffff
end

P.ipv4 = message "ipv4" {
  size "total_length" {
    check(sum16, "checksum") {
      size("header_words", { unit = 4 }) {
        bits(4) "version" (4), bits(4) "header_words", bits(6) "dscp", bits(2) "ecn",
        u16 "total_length", u16 "id", bits(1), flag "dont_fragment", flag "more_fragments",
        bits(13) "fragment", u8 "ttl", u8 "protocol" { icmp = 1, tcp = 6, udp = 17 },
        u16 "checksum", ipv4 "source", ipv4 "destination", rest "options",
      },
    },
    rest "payload",
  },
}

-- A checksum over what is not in the message as well: the addresses of the packet around it.
local function udp_sum(datagram, source, destination)
  local pseudo = ipv4.from(source) .. ipv4.from(destination) .. pack(">I2I2", 17, #datagram)
  local sum = sum16(pseudo .. datagram)
  return sum == 0 and 0xffff or sum
end

P.udp_packet = message "udp_packet" {
  ipv4 "source", ipv4 "destination",
  check(udp_sum, "checksum", { uses = { "source", "destination" } }) {
    size "length" {
      u16 "source_port", u16 "destination_port", u16 "length", u16 "checksum", rest "payload" },
  },
}

P.postgres = message "postgres" {
  bytes(1) "type" { query = "Q", sync = "S", terminate = "X" },
  size "length" { u32 "length", switch "type" { query = { cstr "sql" }, default = {} } },
}

local crcs = {}
for i = 0, 255 do
  local c = i
  for _ = 1, 8 do c = c & 1 == 1 and 0xedb88320 ~ (c >> 1) or c >> 1 end
  crcs[i] = c
end
local function crc32(s)
  local c = 0xffffffff
  for i = 1, #s do c = crcs[(c ~ byte(s, i)) & 255] ~ (c >> 8) end
  return c ~ 0xffffffff
end

P.png = message "png" {
  "\x89PNG\r\n\x1a\n",
  list(till("type", "IEND")) "chunks" {
    u32 "length",
    check(crc32, u32) {
      bytes(4) "type",
      size "length" {
        switch "type" {
          IHDR = { u32 "width", u32 "height", u8 "depth",
            u8 "color" { gray = 0, rgb = 2, palette = 3, rgba = 6 }, u8 "compression",
            u8 "filter", u8 "interlace" },
          tEXt = { cstr "keyword", rest "text" },
          IEND = {},
          default = { rest "data" },
        },
      },
    },
  },
}

local extension = {
  u16 "type" { server_name = 0, supported_groups = 10, alpn = 16, key_share = 51 },
  size(u16, "length") {
    switch "type" {
      server_name = { size(u16) { list(rest) "names" { u8 "kind" { host = 0 },
        str(u16) "name" } } },
      supported_groups = { size(u16) { list(rest) "groups" (u16) } },
      alpn = { size(u16) { list(rest) "protocols" (str(u8)) } },
      key_share = { size(u16) { list(rest) "shares" { u16 "group", str(u16) "key" } } },
      default = { rest "data" },
    },
  },
}
P.handshake = message "tls_handshake" {
  u8 "type" { client_hello = 1, server_hello = 2, certificate = 11, finished = 20 },
  size(u24, "length") {
    switch "type" {
      client_hello = {
        u16 "version", bytes(32) "random", str(u8) "session_id",
        size(u16) { list(rest) "ciphers" (u16) },
        size(u8) { list(rest) "compressions" (u8) },
        optional { size(u16) { list(rest) "extensions" (extension) } },
      },
      default = { rest "body" },
    },
  },
}

-- Fields behind tags, as in protocol buffers: number << 3 | kind.
P.person = message "person" {
  size(varint, "length") {
    list(rest) "fields" {
      varint "tag" { name = 1 << 3 | 2, id = 2 << 3, email = 3 << 3 | 2, height = 4 << 3 | 1 },
      switch "tag" {
        ["name email"] = { str(varint) "text" }, id = { varint "number" },
        height = { f64le "number" },
      },
    },
  },
}

-- Every number there is.
P.numbers = message "numbers" {
  u8 "a", u16 "b", u24 "c", u32 "d", u40 "e", u48 "f", u56 "g", u64 "h",
  u16le "i", u24le "j", u32le "k", u40le "l", u48le "m", u56le "n", u64le "o",
  i8 "p", i16 "q", i24 "r", i32 "s", i40 "t", i48 "u", i56 "v", i64 "w",
  i16le "x", i32le "y", i64le "z", f32 "fa", f64 "fb", f32le "fc", f64le "fd",
  varint "va", varint4 "vb", quicint "vc", zigzag "vd",
  bits(3) "ba", bits(5) "bb", bits(12) "bc", bits(4) "bd", bits(64) "be",
  bits(1) "bf", bits(39) "bg",
  lsb { bits(3) "la", flag "lb", bits(12) "lc" }, lsb { bits(40) "ld" },
  padding(2), ipv4 "ipv4", ipv6 "ipv6", record "inner" { u8 "a", bytes(3) "b" },
}

return P
