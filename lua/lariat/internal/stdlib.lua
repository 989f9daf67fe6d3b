-- SPDX-License-Identifier: MIT
--
-- Functions of the standard library that block the whole program, or start another one: pending
-- output is flushed before they run, since it would otherwise be late. os.execute and io.popen are
-- replaced by functions of lariat's (src/process/shell.c).

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
