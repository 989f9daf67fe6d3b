-- SPDX-License-Identifier: MIT
--
-- What a crowd of tasks costs that wait for the same, or merely wait: the time for each of them, or
-- for one step among them, must not grow with their number.
--
--   event           set() of an event that N tasks wait for, and their wake-ups, for each task
--   event-and-conn  the same through task.wait { event, a socket of the task's own }
--   semaphore-fail  N tasks of a group in line for 10 permits leave it at once: the group fails
--   semaphore-time  the same, because the time of each is up
--   senders         N tasks send to one socket whose peer begins to read when all of them wait
--   cancel          a task.race, and a task.timeout whose time is up, beside N sleeping tasks
--   serve-end       a server that serves nobody is closed, beside N sleeping tasks
--   close           coroutines closed while they wait, beside N sleeping tasks
--
-- Usage: lariat bench/crowds.lua CURVE N. Prints microseconds.

local socket = require "socket"
local task = require "lariat.task"

local curve, n = arg[1], tonumber(arg[2])

local function settle()
  collectgarbage()
  for _ = 1, 3 do task.yield() end
end

-- Processor time of f(), in microseconds, divided among `parts`.
local function cost(parts, f)
  settle()
  local start = os.clock()
  f()
  return (os.clock() - start) / parts * 1e6
end

local curves = {}

function curves.event()
  local event, ended = task.event(), 0
  for _ = 1, n do
    task.spawn(function() event:wait() ended = ended + 1 end)
  end
  return cost(n, function()
    event:set()
    while ended < n do task.yield() end
  end)
end

-- There are not as many descriptors as tasks: many share a socket, of which nothing ever comes.
curves["event-and-conn"] = function()
  local server <close> = assert(socket.bind("127.0.0.1", 0, 512))
  local host, port = server:getsockname()
  local conns, stop, ended = {}, task.event(), 0
  for i = 1, math.min(n, 500) do
    conns[i] = assert(socket.connect(host, port))
  end
  for i = 1, n do
    local conn = conns[i % #conns + 1]
    task.spawn(function() task.wait { stop, conn } ended = ended + 1 end)
  end
  return cost(n, function()
    stop:set()
    while ended < n do task.yield() end
  end)
end

curves["semaphore-fail"] = function()
  local permits = task.semaphore(10)
  local start
  pcall(task.group, function(g)
    for _ = 1, n do g:spawn(permits.with, permits, task.sleep, 3600) end
    settle()
    start = os.clock()
    error "failed"
  end)
  return (os.clock() - start) / n * 1e6
end

curves["semaphore-time"] = function()
  local permits, ended = task.semaphore(1), 0
  permits:acquire()
  for _ = 1, n do
    task.spawn(function() permits:acquire(0.001) ended = ended + 1 end)
  end
  local start = os.clock()
  while ended < n do task.yield() end
  return (os.clock() - start) / n * 1e6
end

function curves.senders()
  local server <close> = assert(socket.bind("127.0.0.1", 0))
  local host, port = server:getsockname()
  local writer <close> = assert(socket.connect(host, port))
  local reader <close> = assert(server:accept())
  writer:settimeout(0)
  local _, _, last = writer:send(("x"):rep(16 << 20)) -- more than the kernel takes
  assert(last < 16 << 20)
  writer:settimeout()
  local message, ended = ("x"):rep(1000), 0
  for _ = 1, n do
    task.spawn(function() writer:send(message) ended = ended + 1 end)
  end
  return cost(n, function()
    task.spawn(function()
      repeat local bytes = reader:receiveany() until not bytes
    end)
    while ended < n do task.sleep(0) end
  end)
end

function curves.cancel()
  for _ = 1, n do task.spawn(task.sleep, 3600) end
  local event = task.event()
  return cost(200, function()
    for _ = 1, 100 do
      task.race(task.yield, function() event:wait() end)
      task.timeout(0, event.wait, event)
    end
  end)
end

curves["serve-end"] = function()
  for _ = 1, n do task.spawn(task.sleep, 3600) end
  return cost(100, function()
    for _ = 1, 100 do
      local server = assert(socket.bind("127.0.0.1", 0))
      local serving = task.spawn(server.serve, server, print)
      task.yield()
      server:close()
      serving:join()
    end
  end)
end

function curves.close()
  local sleepers, tasks = {}, {}
  for i = 1, 100 do
    sleepers[i] = coroutine.create(task.sleep)
    tasks[i] = task.spawn(coroutine.resume, sleepers[i], 3600)
  end
  task.yield()
  for _ = 1, n do task.spawn(task.sleep, 3600) end
  return cost(100, function()
    for i = 1, 100 do
      coroutine.close(sleepers[i])
      tasks[i]:join()
    end
  end)
end

print(("%.2f"):format(curves[curve]()))
io.stdout:flush()
os.exit(0)
