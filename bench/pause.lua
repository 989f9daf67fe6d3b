-- SPDX-License-Identifier: MIT
--
-- What a message costs at worst: 64 tasks that take turns do what a server does with a message (a
-- new string of 16 KiB, a line cut off it, and heap.touch). Time is that of the processor, between
-- the ends of two messages, so other programs do not show. The first second is told apart: what the
-- collector does when it first looks at the heap happens there.
--
-- Usage: lariat bench/pause.lua [SECONDS]; see heap.lua for what is held meanwhile. Prints the
-- worst pause after the first second and within it, in milliseconds, and the most memory, in MiB.

local heap = require "heap"
local task = require "lariat.task"

local seconds = tonumber(arg[1]) or 4
local touch, clock = heap.touch, os.clock
local worst, first, count, last = 0, 0, 0, clock()
local start = last
local kept = {} -- the last line of each task

local function message(turn)
  local bytes = string.char(32 + turn % 90):rep(16384)
  local line = bytes:sub(1, 60) .. turn
  kept[turn % 64 + 1] = line
  if touch then touch(line) end
end

local function note(now)
  local pause = now - last
  last = now
  if now - start < 1 then
    first = math.max(first, pause)
  else
    worst = math.max(worst, pause)
  end
end

local function peak()
  for line in io.lines "/proc/self/status" do
    local kib = line:match "^VmHWM:%s+(%d+)"
    if kib then return kib / 1024 end
  end
end

local workers <close> = setmetatable({}, { __close = function(all)
  for _, worker in ipairs(all) do worker:cancel() end
end })
for i = 1, 64 do
  workers[i] = task.spawn(function()
    while true do
      count = count + 1
      message(count)
      note(clock())
      task.yield()
    end
  end)
end
while last - start < seconds + 1 and #kept <= 64 do task.sleep(0.01) end
print(("%.2f %.2f %.0f"):format(worst * 1000, first * 1000, peak()))
os.exit(0)
