-- SPDX-License-Identifier: MIT
--
-- Gives a benchmark's server what a real one has beside its connections: a table with many entries,
-- and idle tasks. The runner asks for them by environment variables; without any there is nothing.
-- For lariat and, as plain Lua 5.1, for the other runtimes.
--
--     BENCH_HEAP=N         a table of N entries, each a string under a string
--     BENCH_WRITTEN=yes    heap.touch replaces the value of one entry for each message, another
--                          one each time and in no order of age
--     BENCH_TASKS=N        idle tasks: started here under lariat, else by the server
--     BENCH_COLLECTOR=M    the script chooses the collector's mode M itself

local heap = { tasks = tonumber(os.getenv "BENCH_TASKS") or 0 }

local entries = tonumber(os.getenv "BENCH_HEAP") or 0
local store, key, count = {}, nil, 0
for i = 1, entries do store["entry" .. i] = "value of " .. i end
heap.store = store -- keeps it

-- Stores a new string, made from a message; nil unless the heap is to be written.
if os.getenv "BENCH_WRITTEN" == "yes" and entries > 0 then
  function heap.touch(bytes)
    key = next(store, key) or next(store) -- the order of hashes
    count = count + 1
    store[key] = bytes:sub(1, 8) .. count
  end
end

local under_lariat, task = pcall(require, "lariat.task")
if under_lariat and heap.tasks > 0 then
  for _ = 1, heap.tasks do task.spawn(task.sleep, 1e6) end
  task.yield()
end

local mode = os.getenv "BENCH_COLLECTOR"
if mode then collectgarbage(mode) end

return heap
