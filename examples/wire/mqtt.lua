-- SPDX-License-Identifier: MIT
--
-- MQTT 3.1.1, declared. Try: lariat --wire examples/wire/mqtt.lua --describe

local wire = require "lariat.wire"
local _ENV = wire.names(_ENV)

local acknowledged = { u16 "packet_id" }

return message "mqtt" {
  bits(4) "type" { CONNECT = 1, CONNACK = 2, PUBLISH = 3, PUBACK = 4, PUBREC = 5, PUBREL = 6,
    PUBCOMP = 7, SUBSCRIBE = 8, SUBACK = 9, UNSUBSCRIBE = 10, UNSUBACK = 11, PINGREQ = 12,
    PINGRESP = 13, DISCONNECT = 14 },
  flag "dup", bits(2) "qos", flag "retain",
  size(varint4, "remaining") {
    switch "type" {
      CONNECT = {
        str(u16) "protocol", u8 "level",
        flag "has_username", flag "has_password", flag "will_retain", bits(2) "will_qos",
        flag "will", flag "clean", bits(1),
        u16 "keepalive", str(u16) "client_id",
        when "will" { str(u16) "will_topic", str(u16) "will_message" },
        when "has_username" { str(u16) "username" },
        when "has_password" { str(u16) "password" },
      },
      CONNACK = { bits(7), flag "session_present", u8 "code" },
      PUBLISH = { str(u16) "topic", when "qos" { u16 "packet_id" }, rest "payload" },
      ["PUBACK PUBREC PUBREL PUBCOMP UNSUBACK"] = acknowledged,
      SUBSCRIBE = { u16 "packet_id", list(rest) "filters" { str(u16) "topic", u8 "qos" } },
      UNSUBSCRIBE = { u16 "packet_id", list(rest) "topics" (str(u16)) },
      SUBACK = { u16 "packet_id", list(rest) "codes" (u8) },
      ["PINGREQ PINGRESP DISCONNECT"] = {},
    },
  },
}
