-- SPDX-License-Identifier: MIT
--
-- TFTP (RFC 1350) with options (RFC 2347), declared.

local wire = require "lariat.wire"
local _ENV = wire.names(_ENV)

local options = list(rest) "options" { cstr "name", cstr "value" }
local request = { cstr "file", cstr "mode", options }

return message "tftp" {
  u16 "type" { RRQ = 1, WRQ = 2, DATA = 3, ACK = 4, ERROR = 5, OACK = 6 },
  switch "type" {
    ["RRQ WRQ"] = request,
    DATA = { u16 "block", rest "data" },
    ACK = { u16 "block" },
    ERROR = { u16 "code", cstr "message" },
    OACK = { options },
  },
}
