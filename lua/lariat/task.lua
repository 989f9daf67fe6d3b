-- SPDX-License-Identifier: MIT
--
-- The module `lariat.task`: tasks for scripts. The scheduler and the scopes are in C; groups and
-- channels are in files of their own.

local core = require "lariat.core"
local group = require "lariat.group"
local channel = require "lariat.channel"
local dump = require "lariat.dump"
local misuse = require "lariat.misuse"

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
  misuse.check_amount(1, name, "seconds", seconds)
  if type(f) ~= "function" then misuse.type(2, name, "function", f) end
end

--- Runs f(...) for at most so long: every wait inside, in whatever library, raises task.cancelled
--- once the time is up. What f returns counts even if it returns late.
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

--- Runs f(...), for at most so long, out of the reach of cancellations and deadlines further out:
--- for what a `<close>` variable still has to say.
---@param seconds number
---@param f function
---@return any ... what f returns; nil, "deadline"
function task.shield(seconds, f, ...)
  check("shield", seconds, f)
  return scope.run(core.task.now() + seconds, true, false, f, ...)
end

--- Waits until one of several objects is ready, and consumes nothing: sockets (readable, or
--- closed), channels, events, semaphores, tasks (ended).
---@param objects any[]
---@param seconds? number
---@return any? object the first in the list that is ready; nil, "timeout"
---@return string? message
function task.wait(objects, seconds)
  if not misuse.is_table(objects) then misuse.type(1, "wait", "table", objects) end
  if seconds ~= nil then misuse.check_amount(2, "wait", "seconds", seconds) end
  if #objects == 0 and not seconds then misuse.argument(1, "wait", "nothing to wait for") end
  local ready, message = core.wait(objects, nil, seconds)
  if not ready then return nil, message end
  if ready[1] == nil then return nil, "timeout" end
  return ready[1]
end

return misuse.module("lariat.task", task)
