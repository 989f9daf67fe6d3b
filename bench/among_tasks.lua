-- SPDX-License-Identifier: MIT
--
-- An echo server in a program that has TASKS other tasks, all asleep: a message must not cost more
-- because of them. Each receive has a timeout, so that it takes part in the heap of their
-- deadlines.
--
-- Usage: lariat bench/among_tasks.lua TASKS [PORT]. The port is the first line of stdout.

local socket = require "socket"
local task = require "lariat.task"

for _ = 1, tonumber(arg[1]) do task.spawn(task.sleep, 3600) end
task.yield()

local server = assert(socket.bind("127.0.0.1", tonumber(arg[2]) or 0, 1024))
local _, port = server:getsockname()
print(port)
io.stdout:flush()

server:serve(function(conn)
  local bytes = conn:receiveany()
  while bytes and conn:send(bytes) do
    bytes = conn:receiveany()
  end
end, { timeout = 60 })
