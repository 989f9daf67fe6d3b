-- SPDX-License-Identifier: MIT
--
-- Functions of the standard library that block the whole program, or let another one act: what was
-- sent before them goes out first, or its delay would show.

local core = require "lariat.core"

local function flushing(library, name)
  local stock = library[name]
  library[name] = function(...)
    core.flush()
    return stock(...)
  end
end

flushing(os, "execute")
flushing(io, "popen")
flushing(io, "read")
