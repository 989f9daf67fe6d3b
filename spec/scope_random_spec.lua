-- SPDX-License-Identifier: MIT
--
-- Random programs of nested deadlines, groups, shields and generators, whose tasks wait, compute
-- and catch what is raised. A model knows of each wait which scopes it is in: it says when the
-- wait must have ended, whoever computed meanwhile and whoever waited first, and when it must not.
--
-- No time is measured: a watcher sleeps, and what was due before it wakes must be over by then.

local task = require "lariat.task"
local sim = require "lariat.sim"

local SCALE = tonumber(os.getenv "SCALE") or 1
local NEVER = math.huge

-- Programs: trees of statements ------------------------------------------------------------------

local make = {}

local function block(random, depth)
  local statements = {}
  for i = 1, random(1, 3) do
    local kinds = { "sleep", "forever", "spin", "yield", "collect" }
    if depth > 0 then
      local nested = { "timeout", "timeout", "group", "group", "shield", "caught", "each" }
      table.move(nested, 1, #nested, #kinds + 1, kinds)
    end
    local kind = kinds[random(#kinds)]
    statements[i] = { kind = kind, time = random(1, 20) }
    if make[kind] then make[kind](random, depth - 1, statements[i]) end
  end
  return statements
end

local function with_body(random, depth, statement) statement.body = block(random, depth) end

make.timeout, make.shield, make.caught = with_body, with_body, with_body

function make.forever(random, _, statement) statement.wait = random(3) end

function make.group(random, depth, statement)
  statement.children = {}
  for i = 1, random(0, 3) do statement.children[i] = block(random, depth) end
  statement.body = block(random, depth)
  statement.cancels = random(4) == 1
end

-- A generator, in which a deadline and perhaps a group are open while it is suspended.
function make.each(random, depth, statement)
  with_body(random, depth, statement)
  statement.child = random(2) == 1 and block(random, depth) or nil
  statement.consumers = { block(random, depth), block(random, depth) }
end

-- The model: scopes and waits --------------------------------------------------------------------

local function new_world(unit)
  return { unit = unit, moments = 0, waits = {}, tasks = 0, wrong = nil }
end

local function moment(world)
  world.moments = world.moments + 1
  return world.moments
end

local function new_scope(world, outer, due, shield)
  return { outer = outer, due = due or NEVER, shield = shield, changed = moment(world) }
end

local function cancel(world, scope)
  if not scope.cancelled then scope.cancelled = moment(world) end
end

-- What the wait feels: the first time that is up, the first moment of a cancellation, and the last
-- moment at which a generator on the way has been resumed or suspended.
local function felt(scope)
  local due, cancelled, moved = NEVER, NEVER, 0
  while scope do
    due = math.min(due, scope.due)
    cancelled = math.min(cancelled, scope.cancelled or NEVER)
    moved = math.max(moved, scope.moved or 0)
    scope = not scope.shield and scope.outer or nil
  end
  return due, cancelled, moved
end

local function fault(world, format, ...)
  world.wrong = world.wrong or format:format(...)
end

local function wait(world, scope, what, ends, f, ...)
  local due, cancelled = felt(scope)
  local already = due <= task.now() or cancelled < NEVER
  local record = { scope = scope, what = what, ends = ends, begun = moment(world) }
  world.waits[record] = true
  local ok, err = pcall(f, ...)
  world.waits[record] = nil
  if ok then
    if already then fault(world, "%s waited in a scope that was over", what) end
    return
  end
  if err ~= task.cancelled then error(err, 0) end
  local moved
  due, cancelled, moved = felt(scope)
  local over = due <= task.now() or cancelled < NEVER
  -- The scope of a consumer that the generator has left since may have ended it before.
  if not over and moved < record.begun and not world.stopped then
    fault(world, "%s ended for nothing", what)
  end
  error(err, 0)
end

local SLACK = 0.05 -- real seconds: the machine may stop us between two looks at the clock

-- A wait that was to end before `at`, seen from the moment `since`, must have ended.
local function check(world, since, at)
  at = world.virtual and at or at - SLACK
  for record in pairs(world.waits) do
    local due, cancelled, moved = felt(record.scope)
    if record.begun < since and moved < since
      and (math.min(due, record.ends) <= at or cancelled < since) then
      fault(world, "%s still waits: it ends at %g, its scopes at %g, and it is %g", record.what,
        record.ends, due, at)
    end
  end
end

-- Running one ------------------------------------------------------------------------------------

local run = {}

local function run_block(world, scope, statements)
  for _, statement in ipairs(statements) do
    run[statement.kind](world, scope, statement, statement.time * world.unit)
  end
end

-- What leaves a deadline's scope by its end is caught there; a group's is raised again.
local function run_spawned(world, scope, statements)
  world.tasks = world.tasks + 1
  local ok, err = pcall(run_block, world, scope, statements)
  world.tasks = world.tasks - 1
  if not ok then error(err, 0) end
end

function run.sleep(world, scope, _, seconds)
  wait(world, scope, "sleep", task.now() + seconds, task.sleep, seconds)
end

function run.forever(world, scope, statement)
  local event, channel, semaphore = task.event(), task.channel(), task.semaphore(1)
  semaphore:acquire()
  local objects = { event.wait, channel.receive, semaphore.acquire }
  local which = statement.wait
  wait(world, scope, "wait for ever", NEVER, objects[which], ({ event, channel, semaphore })[which])
end

function run.spin(world, _, _, seconds)
  local stop = os.clock() + seconds / 4
  while not world.virtual and os.clock() < stop do end
end

function run.yield(world, scope) wait(world, scope, "yield", NEVER, task.yield) end

function run.collect() collectgarbage "step" end

function run.timeout(world, scope, statement, seconds)
  local at = task.now() + seconds
  task.deadline(at, run_block, world, new_scope(world, scope, at), statement.body)
end

function run.shield(world, scope, statement, seconds)
  local at = task.now() + seconds -- a moment before shield itself looks at the clock
  task.shield(seconds, function()
    run_block(world, new_scope(world, scope, at, true), statement.body)
  end)
end

function run.caught(world, scope, statement)
  local ok, err = pcall(run_block, world, scope, statement.body)
  if not ok and err ~= task.cancelled then error(err, 0) end
end

function run.group(world, scope, statement)
  task.group(function(g)
    local inside = new_scope(world, scope)
    for _, child in ipairs(statement.children) do g:spawn(run_spawned, world, inside, child) end
    local ok, err = pcall(run_block, world, inside, statement.body)
    if not ok or statement.cancels then
      cancel(world, inside)
      g:cancel()
    end
    if not ok then error(err, 0) end
  end)
end

function run.each(world, scope, statement, seconds)
  local outside = new_scope(world) -- whatever resumes the generator
  local function resumed_in(inside)
    outside.outer, outside.moved = inside, moment(world)
  end
  local generator = coroutine.wrap(function()
    local at = task.now() + seconds
    local own = new_scope(world, outside, at)
    task.deadline(at, task.group, function(g)
      local inside = new_scope(world, own)
      if statement.child then g:spawn(run_spawned, world, inside, statement.child) end
      local ok, err = pcall(function()
        for _ = 1, #statement.consumers do
          run_block(world, inside, statement.body)
          resumed_in(nil)
          coroutine.yield()
        end
      end)
      if not ok then cancel(world, inside) end
      if not ok then error(err, 0) end
    end)
  end)
  local function next_in(inside)
    resumed_in(inside)
    local ok, err = pcall(generator)
    resumed_in(nil)
    if not ok and err ~= task.cancelled then
      if not tostring(err):find("dead coroutine", 1, true) then error(err, 0) end
    elseif not ok then
      error(err, 0)
    end
  end
  for _, consumer in ipairs(statement.consumers) do
    local at = task.now() + seconds / 2
    task.deadline(at, function()
      local inside = new_scope(world, scope, at)
      next_in(inside)
      run_block(world, inside, consumer)
    end)
  end
end

-- Runs the program under the watcher's eyes: what was wrong, or nil.
local function run_program(seed, unit, virtual)
  math.randomseed(seed)
  local program = block(math.random, 4)
  local world = new_world(unit)
  world.virtual = virtual
  local root = task.spawn(function()
    local at = task.now() + 30 * unit
    task.deadline(at, run_block, world, new_scope(world, nil, at), program)
  end)
  repeat
    local since, at = moment(world), task.now() + unit
    task.sleep(unit)
    task.yield() -- after everybody who was woken when this was, or before
    check(world, since, at)
  until world.wrong or (root:status() ~= "waiting" and root:status() ~= "ready"
    and next(world.waits) == nil and world.tasks == 0)
  world.stopped = true
  root:cancel()
  root:join()
  return world.wrong
end

describe("every wait ends when its scopes say so", function()
  it("in random programs that compute between their waits", function()
    for seed = 1, math.max(10, 60 // SCALE) do
      local wrong = run_program(seed, 0.001)
      assert.is_nil(wrong, ("program %d: %s"):format(seed, wrong))
    end
  end)

  it("in random programs on a simulated clock", function()
    for seed = 1, math.max(50, 300 // SCALE) do
      local wrong
      sim.run({ seed = seed, echo = false }, function()
        wrong = run_program(seed, 1, true)
      end)
      assert.is_nil(wrong, ("program %d: %s"):format(seed, wrong))
    end
  end)
end)
