-- SPDX-License-Identifier: MIT
--
-- Tasks that do not want to end, when the program does: bench/run_growth.sh measures how long that
-- takes. The bound is a second for the tasks to end by themselves.
--
--   swallow    each catches every error, and waits again
--   semaphore  each waits in line for one of 10 permits
--   close      each has a <close> variable that computes without an end
--
-- Usage: lariat bench/exit.lua KIND TASKS. Prints the moment of os.exit, in seconds since boot.

local task = require "lariat.task"

local permits = task.semaphore(10)
local kinds = {
  swallow = function()
    while true do pcall(task.sleep, 3600) end
  end,
  semaphore = function() permits:with(task.sleep, 3600) end,
  close = function()
    local _ <close> = setmetatable({}, { __close = function() while true do end end })
    task.sleep(3600)
  end,
}

for _ = 1, tonumber(arg[2]) do task.spawn(kinds[arg[1]]) end
for _ = 1, 20 do task.yield() end
print(("%.3f"):format(task.now()))
io.stdout:flush()
os.exit(0)
