-- SPDX-License-Identifier: MIT
--
-- The module `lariat.wire`: a protocol is declared once, in Lua, and gives an encoder, a decoder, a
-- reader of streams, dumps, random messages and a Wireshark plugin. docs/wire.md teaches it.

local message = require "lariat.wire.message"
local node = require "lariat.wire.node"
local structure = require "lariat.wire.structure"

local wire = { message = message }

for _, part in ipairs { "types", "address", "structure" } do
  for name, value in pairs(require("lariat.wire." .. part)) do wire[name] = value end
end
wire.check_length = nil

require "lariat.wire.describe"
require "lariat.wire.dissector"
require "lariat.wire.dump"
require "lariat.wire.random"
require "lariat.wire.stream"
local check_message = require "lariat.wire.shrink"

--- In a declaration a checksum; with a message, the check of its declaration.
function wire.check(what, ...)
  if node.is_message(what) then return check_message(what, ...) end
  return structure.check(what, ...)
end

--- The names of this module and those of another environment, which come first:
--- `local _ENV = wire.names(_ENV)`.
---@param environment table
---@return table
function wire.names(environment)
  if type(environment) ~= "table" then
    node.refuse "names: an environment expected, such as _ENV"
  end
  return setmetatable({}, {
    __index = function(_, name)
      local value = environment[name]
      if value == nil then value = wire[name] end
      if value == nil then
        node.refuse("there is no variable and no type '%s'", tostring(name))
      end
      return value
    end,
    __newindex = environment,
  })
end

return wire
