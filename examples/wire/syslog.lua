-- SPDX-License-Identifier: MIT
--
-- Syslog (RFC 5424 as far as its head) in its three framings: a datagram, a line, and behind a
-- count of bytes ("octet counting", RFC 6587).

local wire = require "lariat.wire"
local _ENV = wire.names(_ENV)

local fields = { "<", number(upto ">") "priority", rest "text" }

return {
  datagram = message "syslog" (fields),
  line = message "syslog_line" { upto "\n" (fields) },
  counted = message "syslog_counted" { size(number(upto " "), "length") (fields) },
}
