-- SPDX-License-Identifier: MIT
--
-- NTP version 4, declared. Times are seconds since 1900, with their fraction in 2^-32 seconds.

local wire = require "lariat.wire"
local _ENV = wire.names(_ENV)

local function time(name) return record(name) { u32 "seconds", u32 "fraction" } end

return message "ntp" {
  bits(2) "leap" { none = 0, last_minute_61 = 1, last_minute_59 = 2, unsynchronized = 3 },
  bits(3) "version", bits(3) "mode" { client = 3, server = 4, broadcast = 5 },
  u8 "stratum", i8 "poll", i8 "precision",
  i32 "root_delay", u32 "root_dispersion", bytes(4) "reference_id",
  time "reference", time "origin", time "receive", time "transmit",
  rest "extensions",
}
