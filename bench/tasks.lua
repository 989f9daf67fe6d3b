-- SPDX-License-Identifier: MIT
--
-- Many sleeping tasks: what one costs in memory, and how long the program stops for the collector
-- while it has them. Beside the sleepers one task makes garbage, as a server would, and wakes every
-- millisecond; the longest time between two wake-ups, less that millisecond, is the worst pause.
--
-- Usage: lariat bench/tasks.lua [TASKS [SECONDS]]. Prints the bytes of memory (RSS) for each task,
-- and the worst pause in milliseconds.

local task = require "lariat.task"

local tasks = tonumber(arg[1]) or 100000
local seconds = tonumber(arg[2]) or 5

local function memory()
  for line in io.lines "/proc/self/smaps_rollup" do
    local kib = line:match "^Rss:%s+(%d+)"
    if kib then return kib * 1024 end
  end
end

local function make_garbage()
  local words = {}
  for i = 1, 500 do words[i] = "word " .. i end
  return words
end

local before = memory()
for _ = 1, tasks do task.spawn(task.sleep, 3600) end
task.yield()
local bytes = (memory() - before) / tasks

local worst, start = 0, task.now()
local last = start
repeat
  make_garbage()
  task.sleep(0.001)
  local now = task.now()
  worst = math.max(worst, now - last)
  last = now
until now - start > seconds

print(("%.0f %.2f"):format(bytes, (worst - 0.001) * 1000))
io.stdout:flush()
os.exit(0)
