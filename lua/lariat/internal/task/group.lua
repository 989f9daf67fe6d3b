-- SPDX-License-Identifier: MIT
--
-- Groups: tasks that end before the call that started them returns. The first error cancels the
-- siblings, and is raised once they have ended, with the child's own traceback and the line that
-- spawned it. Built on scopes (src/task/scope.c): a group is one scope, in which its children are
-- spawned.

local core = require "lariat.core"
local usage = require "lariat.internal.usage"
local task, scope = core.task, core.scope

local group = {}
group.__index = group
group.__name = "group"

local function new(within)
  return setmetatable({ scope = within }, group)
end

-- Children ---------------------------------------------------------------------------------------

-- The first error is the group's; errors that come while the others are being cancelled are
-- reported.
local function fail(self, err, traceback)
  if err ~= task.cancelled then
    local same = self.failed and type(err) ~= "string" and rawequal(err, self.error)
    if self.failed and not same then
      task.report(err, "another error in a group that has failed", traceback or task.message(err))
    elseif not self.failed then
      self.failed, self.error, self.traceback = true, err, traceback
    end
  end
  self.scope:cancel()
end

local function traced(err)
  if err == task.cancelled then return err end
  return { err = err, traceback = task.explain(err, 2) }
end

-- The error and its traceback. One for want of memory has passed by `traced`.
local function told(failure)
  if type(failure) ~= "table" then return failure, tostring(failure) end
  return failure.err, failure.traceback
end

-- The body of a child's task: its outcome is also the group's business. A child that ends without
-- having left, since there was no memory, is found by the scope: see finish.
local function run_child(self, f, ...)
  local results = table.pack(xpcall(f, traced, ...))
  if results[1] then
    self.scope:leave()
    return table.unpack(results, 2, results.n)
  end
  local err = results[2]
  if err ~= task.cancelled then
    local traceback
    err, traceback = told(err)
    fail(self, err, task.origins(task.current(), traceback))
  end
  self.scope:leave()
  error(err, 0)
end

local function spawn(self, n, name, f, ...)
  if type(f) ~= "function" then usage.type(n, "spawn", "function", f) end
  if self.ended then usage.error("the group has ended: it takes no more tasks") end
  return self.scope:spawn(name, run_child, self, f, ...)
end

local SPAWN_OPTIONS = { name = "string" }

--- Starts a task that ends before the group does: spawn([options,] f, ...).
---@param options? { name?: string }
---@param f function
---@param ... any its arguments
---@return lariat.Task
function group:spawn(options, f, ...)
  usage.check_self(self, group, "spawn")
  if type(options) ~= "table" then return (spawn(self, 1, nil, options, f, ...)) end
  usage.check_options(1, "spawn", options, SPAWN_OPTIONS)
  return (spawn(self, 2, task.named(options), f, ...))
end

--- Cancels every child, and the group's own body. If the body returns all the same, what it returns
--- is the group's result.
function group:cancel()
  usage.check_self(self, group, "cancel")
  self.stopped = true
  return self.scope:cancel()
end

-- The end ----------------------------------------------------------------------------------------

local function wait_for_children(self)
  self.scope:wait()
end

-- Waits for the children whatever happens: an error raised meanwhile cancels them first.
local function finish(self, ok, err, traceback)
  if not ok then fail(self, err, traceback) end
  local waited, interruption = pcall(wait_for_children, self)
  if not waited then
    self.scope:cancel()
    scope.run(nil, true, false, wait_for_children, self)
  end
  self.ended = true
  local lost, of = self.scope:lost()
  if lost and not self.failed then self.failed, self.error = true, of end
  if self.failed then
    if self.traceback then task.adopt_traceback(self.error, self.traceback) end
    error(self.error, 0)
  end
  local returned = ok and self.stopped and interruption == task.cancelled
  if not waited and not returned then error(interruption, 0) end
  if not ok then error(err, 0) end
end

-- Its coroutine may be closed while it waits in f: then the group ends like a `<close>` variable.
local function body(within, f)
  local self <close> = new(within)
  local results = table.pack(xpcall(f, traced, self))
  if results[1] then
    finish(self, true)
    return table.unpack(results, 2, results.n)
  end
  local failure = results[2]
  if failure == task.cancelled then finish(self, false, failure) end
  finish(self, false, told(failure))
end

group.__close = function(self, err)
  if self.ended then return end
  local ok, raised = pcall(finish, self, err == nil, err)
  self.scope:close()
  -- A cancellation of the group ends here; one of an outer scope is raised again at the next wait.
  if not ok and raised ~= err and raised ~= task.cancelled then error(raised, 0) end
end

local api = {}

--- group(f): runs f(g) and returns what it returns, after every task that g:spawn started has
--- ended; nil, "cancelled" if it was cancelled by itself. group(): one for a `<close>` variable.
---@param f? fun(g: lariat.Group): ...
---@return any ...
function api.group(f)
  if f == nil then return new(scope.open()) end
  if type(f) ~= "function" then usage.type(1, "group", "function", f) end
  return scope.run(nil, false, true, body, f)
end

local function check_functions(name, ...)
  local n = select("#", ...)
  if n == 0 then usage.type(1, name, "function", nil, true) end
  for i = 1, n do
    local f = select(i, ...)
    if type(f) ~= "function" then usage.type(i, name, "function", f) end
  end
end

--- Runs functions at once; returns what the first to end returns, after cancelling the rest.
---@param ... function
---@return any ...
function api.race(...)
  check_functions("race", ...)
  local functions, winner = { ... }, nil
  local function run(g, f)
    local results = table.pack(f())
    winner = winner or results
    g:cancel()
  end
  local _, why = api.group(function(g)
    for _, f in ipairs(functions) do g:spawn(run, g, f) end
  end)
  if not winner then return nil, why end
  return table.unpack(winner, 1, winner.n)
end

--- Runs functions at once; returns the first result of each, in order, when all have ended.
---@param ... function
---@return any ...
function api.all(...)
  check_functions("all", ...)
  local functions, results, n = { ... }, {}, select("#", ...)
  local function run(i, f) results[i] = f() end
  local done, why = api.group(function(g)
    for i, f in ipairs(functions) do g:spawn(run, i, f) end
    return true
  end)
  if not done then return nil, why end
  return table.unpack(results, 1, n)
end

return api
