-- SPDX-License-Identifier: MIT
--
-- Runs a script in a lariat in which system calls and allocations fail when it says so.
--
--   local out, err, status = faults.run [[
--     faults.fail("accept4", errno.EMFILE, 3)           -- the next three calls
--     ...
--     print(faults.stop())                              -- how many have failed
--   ]]

local lariat = require "lariat"
local program = require "spec.support.program"
local task = require "lariat.task"

local faults = {}

local SOURCE = "spec/support/faults.c"

local PRELUDE = [[
local faults = assert(package.loadlib(os.getenv "LD_PRELOAD", "luaopen_faults"))()
local errno = { EPERM = 1, ENOMEM = 12, ENFILE = 23, EMFILE = 24, ENOSPC = 28, EPROTO = 71,
  ENOPROTOOPT = 92, EOPNOTSUPP = 95, ENETDOWN = 100, ENETUNREACH = 101, ENOBUFS = 105,
  ETIMEDOUT = 110, EHOSTUNREACH = 113, EINVAL = 22 }
local lariat, socket, task = require "lariat", require "socket", require "lariat.task"
]]

-- Compiled once a run of the specs.
local library
local function build()
  if library then return library end
  local path = os.tmpname()
  local child <close> = assert(lariat.run { "sh", "-c",
    'exec ${CC:-gcc} -shared -fPIC $(pkg-config --cflags "${LUA_PC:-lua5.4}") -o "$0" "$1" -ldl',
    path, SOURCE, stderr = "stdout" })
  local words = child.stdout:receive "*a"
  assert(select(2, child:wait()) == 0, words)
  library = setmetatable({ path = path }, { __gc = function() os.remove(path) end })
  return library
end

--- Runs a script to its end, with `faults`, `errno`, `lariat`, `socket` and `task` as locals. Its
--- standard input stays open and empty.
---@param script string
---@return string out
---@return string err
---@return integer|string status
function faults.run(script)
  local file <close> = program.file(PRELUDE .. "\n" .. script)
  local child <close> = program.start({ file.path }, {
    LD_PRELOAD = build().path,
    -- the sanitizer's library wants to be the first
    ASAN_OPTIONS = "verify_asan_link_order=0:" .. (os.getenv "ASAN_OPTIONS" or ""),
  })
  local errors = task.spawn(function() return child.stderr:receive "*a" or "" end)
  local out = child.stdout:receive "*a" or ""
  return out, errors:join(), (select(2, child:wait()))
end

return faults
