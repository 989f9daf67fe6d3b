-- SPDX-License-Identifier: MIT
--
-- RESP 2, the protocol of Redis, declared. A null is a value that is not there.

local wire = require "lariat.wire"
local _ENV = wire.names(_ENV)

return message "resp" {
  bytes(1) "kind" { simple = "+", error = "-", int = ":", bulk = "$", array = "*" },
  switch "kind" {
    ["simple error"] = { line "text" },
    int = { numline "value" },
    bulk = { str(numline, { absent = -1, ends = "\r\n" }) "data" },
    array = { list(numline, { absent = -1 }) "items" "resp" },
  },
}
