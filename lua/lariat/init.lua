-- SPDX-License-Identifier: MIT
--
-- The module `lariat`: what a script needs of the world beside sockets: standard streams, signals,
-- child processes, what becomes of errors nobody joins, and what is to be done at a block's end.

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
  isatty = core.isatty,
}

local deferred = { __name = "deferred" }

function deferred:__close(err)
  local f = self.f
  self.f = nil
  if f then f(err) end
end

--- For a `<close>` variable: calls f, once, when the block is left, however that happens.
---@param f fun(err: any) is given the error that ends the block, or nil; may wait
---@return table
function lariat.defer(f)
  if not misuse.callable(f) then misuse.type(1, "defer", "function", f) end
  return setmetatable({ f = f }, deferred)
end

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
