-- SPDX-License-Identifier: MIT
--
-- The module `lariat.task`: tasks for scripts. The scheduler and the scopes are in C; groups and
-- channels are in files of their own.

local core = require "lariat.core"
local group = require "lariat.internal.task.group"
local channel = require "lariat.internal.task.channel"
local dump = require "lariat.internal.loop.dump"
local usage = require "lariat.internal.usage"

local scope = core.scope

local task = {
  cancelled = core.task.cancelled,
  sleep = core.task.sleep,
  yield = core.task.yield,
  now = core.task.now,
  current = core.task.current,
  spawn = core.task.spawn,
  group = group.group,
  race = group.race,
  all = group.all,
  channel = channel.channel,
  semaphore = channel.semaphore,
  event = channel.event,
  list = dump.tasks,
  dump = dump.dump,
}

local function check(name, seconds, f)
  usage.check_amount(1, name, "seconds", seconds)
  if type(f) ~= "function" then usage.type(2, name, "function", f) end
end

--- Runs f(...) for at most so many seconds: every wait inside, in whatever library, raises
--- task.cancelled once the time is up. If f returns late, its results are returned all the same.
---@param seconds number
---@param f function
---@return any ... what f returns; nil, "deadline"
function task.timeout(seconds, f, ...)
  check("timeout", seconds, f)
  return scope.run(core.task.now() + seconds, false, false, f, ...)
end

--- As timeout, until a moment.
---@param at number by task.now()
---@param f function
---@return any ...
function task.deadline(at, f, ...)
  check("deadline", at, f)
  return scope.run(at, false, false, f, ...)
end

--- Runs f(...) for at most so many seconds. Cancellations and deadlines of outer scopes take effect
--- only afterwards, so that a `<close>` variable can still send something.
---@param seconds number
---@param f function
---@return any ... what f returns; nil, "deadline"
function task.shield(seconds, f, ...)
  check("shield", seconds, f)
  return scope.run(core.task.now() + seconds, true, false, f, ...)
end

--- Waits until one of several objects is ready: sockets (readable or closed), channels, events,
--- semaphores, tasks (ended). Consumes nothing.
---@param objects any[]
---@param seconds? number
---@return any? object the first in the list that is ready; nil, "timeout"
---@return string? message
function task.wait(objects, seconds)
  if not usage.is_table(objects) then usage.type(1, "wait", "table", objects) end
  if seconds ~= nil then usage.check_amount(2, "wait", "seconds", seconds) end
  if #objects == 0 and not seconds then usage.argument(1, "wait", "nothing to wait for") end
  local ready, message = core.wait(objects, nil, seconds)
  if not ready then return nil, message end
  if ready[1] == nil then return nil, "timeout" end
  return ready[1]
end

return usage.module("lariat.task", task)
