-- SPDX-License-Identifier: MIT
--
-- The module `lariat`: what a script needs of the world beside sockets: standard streams, signals,
-- child processes, and what becomes of errors nobody joins.

local core = require "lariat.core"
local misuse = require "lariat.misuse"

local lariat_version, lua_version, uv_version = core.versions()

local lariat = {
  version = lariat_version,
  versions = { lariat = lariat_version, lua = lua_version, libuv = uv_version },
  signal = core.signal.new,
  run = require "lariat.process".run,
  onerror = core.task.onerror,
  sockets = require "lariat.dump".sockets,
}

-- The streams are made when first asked for: a script that never reads stdin leaves it alone.
return misuse.module("lariat", setmetatable(lariat, {
  __index = function(self, name)
    local open = core.standard[name]
    if not open then return nil end
    local stream = open()
    rawset(self, name, stream)
    return stream
  end,
}))
