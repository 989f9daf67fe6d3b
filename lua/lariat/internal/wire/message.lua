-- SPDX-License-Identifier: MIT
--
-- Messages: how they are declared, and their two oldest methods, encode and decode. The others are
-- in stream.lua, dump.lua, describe.lua, random.lua, shrink.lua and dissector.lua.

local compiled = require "lariat.internal.wire.compiled"
local core = require "lariat.core"
local explain = require "lariat.internal.wire.explain"
local usage = require "lariat.internal.usage"
local names = require "lariat.internal.wire.names"
local node = require "lariat.internal.wire.node"
local registry = require "lariat.internal.wire.registry"
local tree = require "lariat.internal.wire.tree"

local Message = node.Message

local LIMIT = 16 << 20 -- bytes of a string, a scope or a message
local DEPTH = 32       -- of messages in each other

-- Declaring --------------------------------------------------------------------------------------

local OPTIONS = { limit = true, depth = true }

local function declare(name, fields)
  if type(fields) ~= "table" or node.is(fields) then
    node.refuse("message %s: a table of fields expected", name)
  end
  for key, value in pairs(fields) do
    if OPTIONS[key] then
      if math.type(value) ~= "integer" or value < 1 then
        node.refuse("message %s: %s: a positive integer expected", name, key)
      end
    elseif math.type(key) ~= "integer" then
      node.refuse("message %s: there is no option '%s'", name, tostring(key))
    end
  end
  local message = setmetatable({
    name = name, line = node.place(), limit = fields.limit or LIMIT,
    depth = fields.depth or DEPTH, infos = {}, done = {},
  }, Message)
  for _, way in ipairs { "direct", "plain", "traced", "resumable", "encoder" } do
    message[way] = function(...) return compiled(message, way)(...) end
  end
  message.seq = tree.flatten(fields, message)
  names.resolve(message)
  node.walk(message.seq, function(n)
    if n.def and n.def.offset then message.looks_back = true end
  end)
  registry.messages[name] = message
  return message
end

-- Bytes and tables -------------------------------------------------------------------------------

local check_self = usage.check_self

--- The bytes of a message. Raises if a value is missing or does not fit.
---@param value table
---@return string
function Message:encode(value)
  local ok, bytes = pcall(self.encoder, value, 0)
  if ok and #bytes <= self.limit then return bytes end
  check_self(self, Message, "encode")
  if ok then
    usage.error("%s: %d bytes are over the limit of %d", self.name, #bytes, self.limit)
  elseif bytes == core.task.cancelled then
    error(bytes, 0)
  end
  compiled(self, "encoder") -- raises the errors of the declaration itself
  usage.error("%s", explain(self, value, bytes))
end

--- Decodes the message that begins at s[at].
---@param s string
---@param at? integer default 1
---@return table? value
---@return integer|string next where what follows begins; or why it cannot be decoded
---@return integer? lacking of a message that is cut: at least so many bytes more
function Message:decode(s, at)
  check_self(self, Message, "decode")
  self.decode = compiled(self, "direct") -- later calls go straight to the compiled function
  return self:decode(s, at)
end

Message.__tostring = function(self) return "message " .. self.name end

--- message "name" { fields }
---@param name string
return function(name)
  if type(name) ~= "string" or name == "" then node.refuse "message: a name expected" end
  return function(fields) return declare(name, fields) end
end
