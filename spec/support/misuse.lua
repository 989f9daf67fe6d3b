-- SPDX-License-Identifier: MIT
--
-- Misuse must raise, and name the line of the script that is to blame.
--
--   usage.of(function() socket.bind(nil) end, "bad argument #1 to 'bind'")

local assert = require "luassert"

local usage = {}

--- f must raise a message that names one of its own lines, and holds this text.
---@param f function not a tail call: that would take its line with it
---@param text string
function usage.of(f, text)
  local ok, message = pcall(f)
  assert.is_false(ok, "not refused: " .. text)
  assert.is_string(message)
  local at = debug.getinfo(f, "S")
  local file, line, rest = message:match "^(.-):(%d+): (.*)$"
  assert.equal(at.short_src, file, message)
  line = tonumber(line)
  assert.is_true(line >= at.linedefined and line <= at.lastlinedefined, message)
  assert.truthy(rest:find(text, 1, true), ("expected '%s', got: %s"):format(text, message))
end

return usage
