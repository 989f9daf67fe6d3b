-- SPDX-License-Identifier: MIT
--
-- What a message is compiled to, at first use, once for every way in which it is used: `direct`,
-- `plain`, `traced`, `resumable` (see decoder.lua) and `encoder`. Each is a field of the message,
-- which other messages' code calls; until it is compiled there is a function that does so.

local Decoder = require "lariat.wire.decoder"
local Encoder = require "lariat.wire.encoder"
local measure = require "lariat.wire.measure"
local registry = require "lariat.wire.registry"
require "lariat.wire.decode_run"
require "lariat.wire.decode_text"
require "lariat.wire.decode_scope"
require "lariat.wire.decode_structure"
require "lariat.wire.encode_fields"
require "lariat.wire.encode_structure"

-- Lua's limits of a function: what is over them is compiled again, in the roomy way.
local function is_too_large(message)
  return message:find "too many" or message:find "limit is" or message:find "overflow" or
    message:find "too large" or message:find "too long"
end

local function compile(message, way)
  local function make(roomy)
    if way == "encoder" then return Encoder.compile(message, roomy) end
    return Decoder.compile(message, way, roomy, function(...) return registry.trace(...) end)
  end
  local infos = #message.infos
  local ok, f = pcall(make, false)
  if ok then return f end
  if not is_too_large(f) then error(f, 0) end
  for i = #message.infos, infos + 1, -1 do message.infos[i] = nil end
  return make(true)
end

--- The function that a message is compiled to.
---@param message lariat.wire.Message
---@param way "direct"|"plain"|"traced"|"resumable"|"encoder"
---@return function
local function compiled(message, way)
  if not message.done[way] then
    measure.check(message)
    local f = compile(message, way)
    message.done[way], message[way] = f, f
  end
  return message.done[way]
end

return compiled
