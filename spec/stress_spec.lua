-- SPDX-License-Identifier: MIT
--
-- Stress: thousands of tasks over real sockets, cancelled, timed out and closed at random waits. At
-- the end nothing is left, and no byte has come that was not sent. A failure says the seed;
-- STRESS_SEED repeats it.

local lariat = require "lariat"
local socket = require "socket"
local task = require "lariat.task"
local test = require "lariat.test"
local net = require "spec.support.net"

local SCALE = tonumber(os.getenv "SCALE") or 1
local SEED = math.tointeger(os.getenv "STRESS_SEED") or os.time()
local ROUNDS, TASKS = 6, 400 // SCALE

local CHOSEN = {} -- the error of tasks that choose to fail

local random = math.random -- seeded below

local function chance(percent) return random(100) <= percent end

local function moment() return random() * 0.003 end

-- What a wait may end with: anything but an error that nobody asked for.
local function expected(ok, err)
  assert(ok or err == task.cancelled or err == CHOSEN, err)
  return ok
end

-- The two ends of a conversation; what comes must be the letters in their order.
local function write(conn)
  for _ = 1, random(20) do
    if not conn:send(("abcdefghijklmnopqrstuvwxyz"):rep(random(500))) then return end
    if chance(20) then task.sleep(moment()) end
  end
  conn:shutdown "send"
end

local function read(conn)
  local last
  while true do
    local data = conn:receiveany(random(5000))
    if not data then return end
    local first = data:sub(1, 1)
    assert(not last or first == (last == "z" and "a" or string.char(last:byte() + 1)))
    assert(data == ("abcdefghijklmnopqrstuvwxyz"):rep(#data // 26 + 2):sub(
      first:byte() - 96, first:byte() - 97 + #data))
    last = data:sub(-1)
  end
end

-- A world: things that tasks may wait for, and what they do with them.
local function new_world()
  local world = {
    channel = task.channel(random(0, 3)), permits = task.semaphore(random(3)),
    event = task.event(), listener = assert(socket.bind("127.0.0.1", 0, 512)),
  }
  world.port = select(2, world.listener:getsockname())
  return world
end

local actions = {
  function() task.sleep(moment()) end,
  function() for _ = 1, random(5) do task.yield() end end,
  function(w) w.channel:send(random(100), chance(50) and moment() or nil) end,
  function(w) w.channel:receive(chance(50) and moment() or nil) end,
  function(w) w.permits:with(task.sleep, moment()) end,
  function(w) w.event:wait(chance(50) and moment() or nil) end,
  function(w) if chance(50) then w.event:set() else w.event:clear() end end,
  function(w) task.wait({ w.channel, w.event, w.permits, w.listener }, moment()) end,
  function(w) socket.select({ w.channel, w.listener }, nil, moment()) end,
  function() socket.dns.toip(chance(50) and "localhost" or "127.0.0.1") end,
  function() error(CHOSEN) end,
  function(w)
    local conn <close> = socket.tcp4()
    conn:settimeout(chance(50) and moment() or nil)
    if conn:connect("127.0.0.1", w.port) then (chance(50) and write or read)(conn) end
  end,
  function(w)
    w.listener:settimeout(moment())
    local conn <close> = w.listener:accept()
    if conn then (chance(50) and write or read)(conn) end
  end,
  function()
    local a <close>, b = net.pair()
    local other <close> = b
    task.group(function(g)
      g:spawn(write, a)
      g:spawn(read, other)
      if chance(30) then task.sleep(moment()) a:close() end
      if chance(30) then g:cancel() end
    end)
  end,
}

local function act(world) return actions[random(#actions)](world) end

local function act_within(world, depth)
  local kind = depth > 0 and random(6) or 6
  local function deeper() return act_within(world, depth - 1) end
  if kind == 1 then return task.timeout(moment(), deeper) end
  if kind == 2 then return task.shield(moment(), deeper) end
  if kind == 3 then return coroutine.wrap(deeper)() end
  if kind == 4 then return task.race(deeper, deeper) end
  if kind == 5 then
    local g <close> = task.group()
    for _ = 1, random(3) do g:spawn(deeper) end
    return
  end
  for _ = 1, random(3) do act(world) end
end

local function round()
  local world, tasks = new_world(), {}
  for i = 1, TASKS do
    tasks[i] = task.spawn(function() expected(pcall(act_within, world, random(0, 3))) end)
  end
  for _ = 1, TASKS do
    if chance(30) then task.sleep(moment()) end
    tasks[random(TASKS)]:cancel()
  end
  world.channel:close() -- and nobody waits for ever
  world.listener:close()
  for i = 1, TASKS do
    if chance(50) then tasks[i]:cancel() end
    local ok, err = task.timeout(0.2, tasks[i].join, tasks[i])
    if not ok and err == "deadline" then
      tasks[i]:cancel()
      tasks[i]:join()
    end
    world.event:set()
  end
end

describe("thousands of tasks that are cancelled, timed out and closed at random", function()
  it("leave no task, no socket and no error behind (seed " .. SEED .. ")", function()
    math.randomseed(SEED)
    collectgarbage()
    local tasks, sockets = #task.list(), #lariat.sockets() -- of others, such as standard streams
    local others = {}
    local before = lariat.onerror(function(err)
      if err ~= CHOSEN then table.insert(others, err) end
    end)
    for _ = 1, ROUNDS do round() end
    lariat.onerror(before)
    assert.same({}, others)
    test.eventually(function()
      collectgarbage()
      return #task.list() <= tasks and #lariat.sockets() <= sockets
    end)
  end)
end)
