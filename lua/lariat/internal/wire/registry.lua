-- SPDX-License-Identifier: MIT
--
-- All declared messages by name, so that one can refer to another that is declared later, or to
-- itself.

local node = require "lariat.internal.wire.node"

---@field trace? function what traced decodes call now
local registry = { messages = {} }

--- The message that a field or an item refers to.
---@return lariat.wire.Message
function registry.target(n)
  local message = n.msg or registry.messages[n.to]
  if not message then node.complain(n, "there is no message '%s'", n.to) end
  return message
end

--- The error of a message over its limit.
function registry.too_long(message)
  return ("%s: longer than the limit of %d bytes"):format(message.name, message.limit)
end

return registry
