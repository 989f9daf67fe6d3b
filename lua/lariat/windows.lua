-- SPDX-License-Identifier: MIT
--
-- Windows: the stretches of a test run that must leave nothing behind: one for each test, from its
-- first before_each to its last after_each, and one for each block with a setup, until after its
-- teardown. Knows what a window's code has started and not ended, what is to be closed at its end
-- (lariat.test), and the errors of its tasks that nobody joined.
--
-- Whose something is, is a number that tasks hand on to what they make (src/dump.c). So what a
-- server started in setup does for a test belongs to the setup, and not to the test.

local core = require "lariat.core"
local dump = require "lariat.dump"
local processes = require "lariat.process"
local task = require "lariat.core".task

local windows = {}

local TICKS = 50 -- that what ends by itself, as a handler whose peer has gone, is given

local last = 0
local current -- the window whose code is being run

---@class lariat.Window
---@field owner integer
---@field outer? lariat.Window
---@field outer_owner integer
---@field at_end function[]
---@field errors table[]

--- Begins a window inside the current one.
---@return lariat.Window
function windows.open()
  last = last + 1
  local window = { owner = last, outer = current, at_end = {}, errors = {} }
  window.outer_owner = core.dump.owner(last)
  current = window
  return window
end

--- Ends the stretch in which code runs for the window; what it has made stays its own.
---@param window lariat.Window
function windows.leave(window)
  core.dump.owner(window.outer_owner)
  current = window.outer
end

--- Has f called when the current window ends; the last one first. Nothing outside of any window.
---@param f function
function windows.at_end(f)
  if current then table.insert(current.at_end, f) end
end

--- Calls what was left to be done at the end; the errors of that.
---@param window lariat.Window
---@return string[]
function windows.finish(window)
  local failed = {}
  while window.at_end[1] do
    local ok, message = xpcall(table.remove(window.at_end), debug.traceback)
    if not ok then failed[#failed + 1] = task.message(message) end
  end
  return failed
end

-- What is left -----------------------------------------------------------------------------------

local function left(window)
  local tasks, sockets = core.dump.left(window.owner)
  local lines = {}
  for i = #tasks, 1, -1 do lines[#lines + 1] = dump.task_line(tasks[i]) end
  for i = #sockets, 1, -1 do
    local s = sockets[i]
    local address, line = s.sockname or "-", s.made_at or "?"
    lines[#lines + 1] = ("socket %s %s, made at %s"):format(s.class, address, line)
  end
  for child, where, owner in processes.each() do
    if owner == window.owner then lines[#lines + 1] = dump.process_line(child, where) end
  end
  return lines
end

--- A line for each task, socket and process that the window's code has started and that is still
--- there, once what is about to end has ended and (unless `strict`) garbage has been collected.
---@param window lariat.Window
---@param strict boolean
---@return string[]
function windows.left(window, strict)
  local lines = left(window)
  for round = 1, 2 do
    for _ = 1, lines[1] and TICKS or 0 do
      task.yield()
      lines = left(window)
      if not lines[1] then return lines end
    end
    if lines[1] and not strict and round == 1 then
      collectgarbage()
      collectgarbage()
      lines = left(window)
    end
  end
  return lines
end

-- Errors that nobody joins -----------------------------------------------------------------------

--- For lariat.onerror: keeps the error for the window that is open, or says no.
---@return boolean kept
function windows.keep_error(_, traceback, title, failed)
  if not current then return false end
  table.insert(current.errors, { traceback = traceback, title = title, task = failed })
  return true
end

--- The errors that came while the window was open, and that no join has raised since.
---@param window lariat.Window
---@return string[]
function windows.errors(window)
  local texts = {}
  for _, e in ipairs(window.errors) do
    if not e.task or core.dump.failed(e.task) then
      texts[#texts + 1] = ("%s: %s"):format(e.title, e.traceback)
    end
  end
  return texts
end

return windows
