-- SPDX-License-Identifier: MIT
--
-- SOCKS 5 (RFC 1928), declared: the four messages of a connection, in their order.

local wire = require "lariat.wire"
local _ENV = wire.names(_ENV)

local METHOD = { none = 0, gssapi = 1, password = 2, refused = 255 }
local address = {
  u8 "kind" { ipv4 = 1, name = 3, ipv6 = 4 },
  switch "kind" { ipv4 = { ipv4 "host" }, name = { str(u8) "host" }, ipv6 = { ipv6 "host" } },
  u16 "port",
}

return {
  greeting = message "socks5_greeting" { u8(5), list(u8) "methods" (u8(METHOD)) },
  choice = message "socks5_choice" { u8(5), u8 "method" (METHOD) },
  request = message "socks5_request" {
    u8(5), u8 "command" { connect = 1, bind = 2, udp = 3 }, u8(0), address },
  reply = message "socks5_reply" {
    u8(5), u8 "status" { ok = 0, failure = 1, not_allowed = 2, network_unreachable = 3,
      host_unreachable = 4, refused = 5, expired = 6, no_such_command = 7, no_such_kind = 8 },
    u8(0), address },
}
