-- SPDX-License-Identifier: MIT
--
-- The module `lariat`: what a script needs besides sockets: standard streams, signals, child
-- processes, a handler for errors that nobody joins, and functions called at the end of a block.

local core = require "lariat.core"
local usage = require "lariat.internal.usage"

local lariat_version, lua_version, uv_version = core.versions()

local lariat = {
  version = lariat_version,
  versions = { lariat = lariat_version, lua = lua_version, libuv = uv_version },
  signal = core.signal.new,
  run = require "lariat.internal.process.process".run,
  onerror = core.task.onerror,
  sockets = require "lariat.internal.loop.dump".sockets,
  isatty = core.isatty,
}

local deferred = { __name = "deferred" }

function deferred:__close(err)
  local f = self.f
  self.f = nil
  if f then f(err) end
end

--- A value for a `<close>` variable: calls f, once, when the block is left for whatever reason.
---@param f fun(err: any) is given the error that ends the block, or nil; may wait
---@return table
function lariat.defer(f)
  if not usage.callable(f) then usage.type(1, "defer", "function", f) end
  return setmetatable({ f = f }, deferred)
end

-- The streams are opened on first use: in a script that never reads stdin, it is not touched.
return usage.module("lariat", setmetatable(lariat, {
  __index = function(self, name)
    local open = core.standard[name]
    if not open then return nil end
    local stream = open()
    rawset(self, name, stream)
    return stream
  end,
}))
