-- SPDX-License-Identifier: MIT
--
-- DNS, declared: `dns` is the message of a datagram, `dns_tcp` the same in a stream.

local wire = require "lariat.wire"
local names = require "lariat.internal.dns.name"
local name, plain_name = names.compressed, names.plain
local _ENV = wire.names(_ENV)

local TYPE = { A = 1, NS = 2, CNAME = 5, SOA = 6, PTR = 12, MX = 15, TXT = 16, AAAA = 28, SRV = 33,
  OPT = 41, HTTPS = 65, CAA = 257, ANY = 255 }
local CLASS = { IN = 1, CH = 3, ANY = 255, default = "IN" }

local PARAMETER = { mandatory = 0, alpn = 1, no_default_alpn = 2, port = 3, ipv4hint = 4, ech = 5,
  ipv6hint = 6 }

local record_data = switch "type" {
  A = { ipv4 "address" }, AAAA = { ipv6 "address" },
  ["NS CNAME PTR"] = { name "target" },
  MX = { u16 "preference", name "exchange" },
  TXT = { list(rest) "texts" (str(u8)) },
  SRV = { u16 "priority", u16 "weight", u16 "port", plain_name "target" },
  SOA = { name "mname", name "rname", u32 "serial", u32 "refresh", u32 "retry", u32 "expire",
    u32 "minimum" },
  CAA = { u8 "flags", str(u8) "tag", rest "value" },
  HTTPS = { u16 "priority", plain_name "target",
    list(rest) "parameters" { u16 "key" (PARAMETER), size(u16, "length") {
      switch "key" {
        alpn = { list(rest) "protocols" (str(u8)) },
        port = { u16 "port" },
        ipv4hint = { list(rest) "ipv4" (ipv4) },
        ipv6hint = { list(rest) "ipv6" (ipv6) },
        default = { rest "data" },
      } } } },
  default = { rest "data" },
}

local answer = {
  name "name", u16 "type" (TYPE),
  switch "type" {
    OPT = { u16 "udp_size", u8 "extended_rcode", u8 "version", flag "dnssec_ok", bits(15),
      size(u16, "rdlength") { list(rest) "options" { u16 "code", str(u16) "data" } } },
    default = { u16 "class" (CLASS), u32 "ttl", size(u16, "rdlength") { record_data } },
  },
}

local dns = message "dns" {
  u16 "id",
  flag "qr", bits(4) "opcode" { QUERY = 0, STATUS = 2, NOTIFY = 4, UPDATE = 5 },
  flag "aa", flag "tc", flag "rd", flag "ra", bits(1), flag "ad", flag "cd",
  bits(4) "rcode" { NOERROR = 0, FORMERR = 1, SERVFAIL = 2, NXDOMAIN = 3, NOTIMP = 4, REFUSED = 5 },
  u16 "qdcount", u16 "ancount", u16 "nscount", u16 "arcount",
  list "qdcount" "questions" { name "name", u16 "type" (TYPE), u16 "class" (CLASS) },
  list "ancount" "answers" (answer),
  list "nscount" "authorities" (answer),
  list "arcount" "additionals" (answer),
}

return { dns = dns, dns_tcp = message "dns_tcp" { size(u16, "length") { dns "message" } } }
