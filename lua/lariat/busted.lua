-- SPDX-License-Identifier: MIT
--
-- `lariat --test`: Debian's busted inside the host, so that every `it`, `before_each` and `describe`
-- body is part of a task and may wait for the network. Adds what busted lacks: a time limit for each
-- test, and a failure at once for a test that waits on nothing that can happen.

local core = require "lariat.core"

local DEFAULT_LIMIT = 10 -- seconds

local runner = {}

-- Takes --timeout=SECONDS (or two words) out of `arg`; busted knows nothing of it.
local function take_limit(arg)
  local limit = DEFAULT_LIMIT * (tonumber(os.getenv "SCALE") or 1)
  local i = 1
  while arg[i] do
    local value = arg[i]:match "^%-%-timeout=(.*)$"
    if arg[i] == "--timeout" then value = table.remove(arg, i + 1) or "" end
    if value then
      table.remove(arg, i)
      limit = tonumber(value)
      if not limit or limit < 0 then
        io.stderr:write(("lariat: --timeout: seconds expected, got '%s'\n"):format(value))
        os.exit(2)
      end
    else
      i = i + 1
    end
  end
  return limit
end

-- busted's instance is made inside its runner and handed to the module `busted`: be there.
local function watch_tests(limit)
  local init = require "busted"
  local metatable = getmetatable(init)
  local configure = metatable.__call
  metatable.__call = function(self, busted)
    busted.subscribe({ "test", "start" }, function()
      core.interrupt.limit(limit, ("test exceeded its time limit of %g s"):format(limit))
      return nil, true
    end)
    busted.subscribe({ "test", "end" }, function()
      core.interrupt.limit(0)
      return nil, true
    end)
    return configure(self, busted)
  end
end

--- Runs busted over the command line in `arg`; ends the program with its exit status on failure.
---@param arg string[]
function runner.run(arg)
  local limit = take_limit(arg)
  -- busted loads modules anew for each file; those of the runtime must stay the same.
  for _, name in ipairs { "socket", "socket.unix", "lariat", "lariat.task" } do require(name) end
  local ok, message = pcall(require, "busted.runner")
  if not ok then
    io.stderr:write("lariat: --test needs busted (Debian: lua-busted)\n", message, "\n")
    os.exit(1)
  end
  watch_tests(limit)
  core.on_deadlock(core.task.current())
  require "busted.runner" { standalone = false }
  os.exit(0) -- a task that a test has left behind ends with the run
end

return runner
