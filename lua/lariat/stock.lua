-- SPDX-License-Identifier: MIT
--
-- Functions of the standard library that block the whole program, or let another one act: what was
-- sent before them goes out first, or its delay would show. Programs are started by functions of
-- our own (src/shell.c).

local core = require "lariat.core"

local read = io.read

local function read_after_flush(...)
  core.flush()
  return read(...)
end

for library, functions in pairs {
  [io] = { read = read_after_flush, popen = core.process.popen },
  [os] = { execute = core.process.execute },
} do
  for name, f in pairs(functions) do library[name] = f end
end
