-- SPDX-License-Identifier: MIT
--
-- LuaSocket's own tests expect a LuaSocket built with LUASOCKET_DEBUG: `_DEBUG` is true, and send
-- and receive return how long they took as their fourth result. luasocket-tests.sh loads this
-- first.

local core = require "socket.core"
local socket = require "socket"

socket._DEBUG = true

for _, class in ipairs { "tcp{client}", "unixstream{client}" } do
  local methods = core.methods(class)
  for _, name in ipairs { "send", "receive" } do
    local method = methods[name]
    methods[name] = function(...)
      local start = socket.gettime()
      local result, message, partial = method(...)
      return result, message, partial, socket.gettime() - start
    end
  end
end
