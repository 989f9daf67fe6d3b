-- SPDX-License-Identifier: MIT
--
-- The module `socket.unix`, as LuaSocket's: callable, and a table of constructors.

local core = require "socket.core"

local unix = {
  _VERSION = "LuaSocket 3.0.0",
  stream = core.unix_stream,
  dgram = core.unix_dgram,
  tcp = core.unix_stream,
  udp = core.unix_dgram,
}

return setmetatable(unix, { __call = function() return core.unix_stream() end })
