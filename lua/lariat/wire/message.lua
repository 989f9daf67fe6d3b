-- SPDX-License-Identifier: MIT
--
-- Messages: what a declaration gives. Each compiles at first use, once for every way it is used:
-- `plain`, `traced`, `resumable` (see decoder.lua) and `encoder`.

local Decoder = require "lariat.wire.decoder"
local Encoder = require "lariat.wire.encoder"
local core = require "lariat.core"
local explain = require "lariat.wire.explain"
local measure = require "lariat.wire.measure"
local misuse = require "lariat.misuse"
local names = require "lariat.wire.names"
local node = require "lariat.wire.node"
local registry = require "lariat.wire.registry"
local tree = require "lariat.wire.tree"
require "lariat.wire.decode_run"
require "lariat.wire.decode_text"
require "lariat.wire.decode_scope"
require "lariat.wire.decode_structure"
require "lariat.wire.encode_fields"
require "lariat.wire.encode_structure"

local Message = node.Message

local LIMIT = 16 << 20 -- bytes of a string, a scope or a message
local DEPTH = 32       -- of messages in each other

-- Compiling --------------------------------------------------------------------------------------

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

-- A function that compiles the message, puts the result in its own place, and calls it.
local function at_first_use(message, way)
  return function(...)
    return message:compiled(way)(...)
  end
end

local function check_decode(s, at)
  if type(s) ~= "string" then misuse.type(1, "decode", "string", s, s == nil) end
  if at ~= nil and (math.type(at) ~= "integer" or at < 1 or at > #s + 1) then
    misuse.argument(2, "decode", "position in the string expected")
  end
end

-- What decode returns for what plain did.
local function undecoded(s, next, info)
  if type(next) ~= "number" then return nil, tostring(next) end
  local lacking = next - #s
  local path = info[1]:gsub("%[%%d%]", "")
  return nil, ("%s: incomplete, at least %d bytes more"):format(path, lacking), lacking
end

local type = type

-- The method decode of one message, with its decoder at hand.
local function decode_with(plain, limit)
  return function(self, s, at)
    if at or type(s) ~= "string" then check_decode(s, at) end
    local from = at or 1
    local value, next, info = plain(s, from, #s, from, 0)
    if not value then return undecoded(s, next, info) end
    if next - from > limit then return nil, self:too_long() end
    return value, next
  end
end

--- The function that a message is compiled to.
---@param way "plain"|"traced"|"resumable"|"encoder"
function Message:compiled(way)
  if not self.done[way] then
    measure.check(self)
    local f = compile(self, way)
    self.done[way], self[way] = f, f
    if way == "plain" then self.decode = decode_with(f, self.limit) end
  end
  return self.done[way]
end

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
  for _, way in ipairs { "plain", "traced", "resumable", "encoder" } do
    message[way] = at_first_use(message, way)
  end
  message.seq = tree.flatten(fields, message)
  names.resolve(message)
  node.walk(message.seq, function(n)
    if n.def and n.def.offset then message.looks_back = true end
  end)
  registry.messages[name] = message
  return message
end

function Message:too_long()
  return ("%s: longer than the limit of %d bytes"):format(self.name, self.limit)
end

-- Bytes and tables -------------------------------------------------------------------------------

local check_self = misuse.check_self

--- The bytes of a message. Raises if a value is missing or does not fit.
---@param value table
---@return string
function Message:encode(value)
  local ok, bytes = pcall(self.encoder, value, 0)
  if ok and #bytes <= self.limit then return bytes end
  check_self(self, Message, "encode")
  if ok then
    misuse.error("%s: %d bytes are over the limit of %d", self.name, #bytes, self.limit)
  elseif bytes == core.task.cancelled then
    error(bytes, 0)
  end
  self:compiled "encoder" -- a mistake of the declaration is raised as it is
  misuse.error("%s", explain(self, value, bytes))
end

--- Decodes the message that begins at s[at].
---@param s string
---@param at? integer default 1
---@return table? value
---@return integer|string next where what follows begins; or why it cannot be decoded
---@return integer? lacking of a message that is cut: at least so many bytes more
function Message:decode(s, at)
  check_self(self, Message, "decode")
  check_decode(s, at)
  self:compiled "plain" -- and gives the message a method of its own
  return self:decode(s, at)
end

Message.__tostring = function(self) return "message " .. self.name end

--- message "name" { fields }
---@param name string
return function(name)
  if type(name) ~= "string" or name == "" then node.refuse "message: a name expected" end
  return function(fields) return declare(name, fields) end
end
