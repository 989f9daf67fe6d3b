-- SPDX-License-Identifier: MIT
--
-- Leaks of tests: what a test has started and not ended. A test is a domain, from its first
-- before_each to its last after_each, and so is a block with a setup, until after its teardown. A
-- domain knows the tasks, sockets and children that its code has started, the functions to be
-- called at its end (lariat.test), and the errors of its tasks that nobody joined.
--
-- A domain has a number, which a task passes on to the tasks and sockets that it makes
-- (src/loop/dump.c). So what a server started in setup makes for a test belongs to the setup's
-- domain, and not to the test's.

local core = require "lariat.core"
local dump = require "lariat.internal.loop.dump"
local processes = require "lariat.internal.process.process"
local task = require "lariat.core".task

local leaks = {}

local TICKS = 50 -- for what ends by itself, such as a handler whose peer has closed

local last = 0
local current -- the domain whose code is running

---@class lariat.Domain
---@field number integer
---@field outer? lariat.Domain
---@field outer_number integer
---@field at_end function[]
---@field errors table[]

--- Begins a new domain, inside the current one.
---@return lariat.Domain
function leaks.open()
  last = last + 1
  local domain = { number = last, outer = current, at_end = {}, errors = {} }
  domain.outer_number = core.dump.domain(last)
  current = domain
  return domain
end

--- From now on code runs for the outer domain again. What was made stays in this one.
---@param domain lariat.Domain
function leaks.leave(domain)
  core.dump.domain(domain.outer_number)
  current = domain.outer
end

--- f is called when the current domain ends; the functions added last are called first. Outside of
--- all domains this does nothing.
---@param f function
function leaks.at_end(f)
  if current then table.insert(current.at_end, f) end
end

--- Calls the functions of at_end; returns their errors.
---@param domain lariat.Domain
---@return string[]
function leaks.finish(domain)
  local failed = {}
  while domain.at_end[1] do
    local ok, message = xpcall(table.remove(domain.at_end), debug.traceback)
    if not ok then failed[#failed + 1] = task.message(message) end
  end
  return failed
end

-- What is left -----------------------------------------------------------------------------------

local function left(domain)
  local tasks, sockets = core.dump.left(domain.number)
  local lines = {}
  for i = #tasks, 1, -1 do lines[#lines + 1] = dump.task_line(tasks[i]) end
  for i = #sockets, 1, -1 do
    local s = sockets[i]
    local address, line = s.sockname or "-", s.made_at or "?"
    lines[#lines + 1] = ("socket %s %s, made at %s"):format(s.class, address, line)
  end
  for child, where, number in processes.each() do
    if number == domain.number then lines[#lines + 1] = dump.process_line(child, where) end
  end
  return lines
end

--- A line for each task, socket and child that the domain's code has started and that has not
--- ended, after TICKS ticks and (unless `strict`) a garbage collection.
---@param domain lariat.Domain
---@param strict boolean
---@return string[]
function leaks.left(domain, strict)
  local lines = left(domain)
  for round = 1, 2 do
    for _ = 1, lines[1] and TICKS or 0 do
      task.yield()
      lines = left(domain)
      if not lines[1] then return lines end
    end
    if lines[1] and not strict and round == 1 then
      collectgarbage()
      collectgarbage()
      lines = left(domain)
    end
  end
  return lines
end

-- Errors that nobody joins -----------------------------------------------------------------------

--- For lariat.onerror: keeps the error for the current domain; false if there is none.
---@return boolean kept
function leaks.keep_error(_, traceback, title, failed)
  if not current then return false end
  table.insert(current.errors, { traceback = traceback, title = title, task = failed })
  return true
end

--- The errors that were kept for the domain and that no join has raised since.
---@param domain lariat.Domain
---@return string[]
function leaks.errors(domain)
  local texts = {}
  for _, e in ipairs(domain.errors) do
    if not e.task or core.dump.failed(e.task) then
      texts[#texts + 1] = ("%s: %s"):format(e.title, e.traceback)
    end
  end
  return texts
end

return leaks
