-- SPDX-License-Identifier: MIT
--
-- The dump as text that a person reads: what task.dump and SIGUSR1 print, and the lines that the
-- report of a deadlock has in common with them. What is shown is gathered in src/loop/dump.c.

local core = require "lariat.core".dump
local usage = require "lariat.internal.usage"
local processes = require "lariat.internal.process.process"

local dump = {}

-- As text each is the line that a dump has of it.
local task_info, socket_info = { __name = "task's state" }, { __name = "socket's state" }

-- Oldest first.
local function reversed(list, class)
  for i = 1, #list // 2 do list[i], list[#list + 1 - i] = list[#list + 1 - i], list[i] end
  for _, info in ipairs(list) do setmetatable(info, class) end
  return list
end

--- Every task that has not ended, oldest first.
---@return lariat.TaskInfo[]
function dump.tasks() return reversed(core.tasks(), task_info) end

--- Every socket that is open, or closed and still sending, oldest first.
---@return lariat.SocketInfo[]
function dump.sockets() return reversed(core.sockets(), socket_info) end

--- One line about a task.
---@param t lariat.TaskInfo
---@return string
function dump.task_line(t)
  local doing = t.status == "waiting" and "waits in " .. t.waiting_for or "is " .. t.status
  if t.where then doing = doing .. " at " .. t.where end
  if t.peer then doing = doing .. " for " .. t.peer end
  if t.since then doing = ("%s since %.1f s"):format(doing, t.since) end
  local spawned = t.spawned_at and (" (spawned at %s)"):format(t.spawned_at) or ""
  return ("task %s%s %s"):format(t.name, spawned, doing)
end

--- One line about a socket.
---@param s lariat.SocketInfo
---@return string
function dump.socket_line(s)
  local ends = { s.sockname or "-", s.peername }
  return ("socket %s %s: received %d, sent %d, queued %d%s, made at %s"):format(s.class,
    table.concat(ends, " - "), s.received, s.sent, s.queued, s.draining and ", closed" or "",
    s.made_at or "?")
end

task_info.__tostring, socket_info.__tostring = dump.task_line, dump.socket_line

--- One line about a child process.
---@param child lariat.Process
---@param started_at string
---@return string
function dump.process_line(child, started_at)
  return ("process %s (pid %d), started at %s"):format(child.program, child.pid, started_at)
end

--- A line a task.
---@return string
function dump.lines()
  local lines = {}
  for _, t in ipairs(dump.tasks()) do lines[#lines + 1] = "  " .. dump.task_line(t) .. "\n" end
  return table.concat(lines)
end

local function indented(text)
  return (text:gsub("\n", "\n  "))
end

--- Everything.
---@return string
function dump.text()
  local tasks, sockets = dump.tasks(), dump.sockets()
  local lines = { ("lariat: %d tasks, %d sockets"):format(#tasks, #sockets) }
  for _, t in ipairs(tasks) do
    lines[#lines + 1] = ("%s, age %.1f s"):format(dump.task_line(t), t.age)
    lines[#lines + 1] = "  " .. indented(t.traceback)
  end
  for _, s in ipairs(sockets) do lines[#lines + 1] = dump.socket_line(s) end
  for child, where in processes.each() do lines[#lines + 1] = dump.process_line(child, where) end
  lines[#lines + 1] = ""
  return table.concat(lines, "\n")
end

--- Prints everything.
---@param to? file*|fun(text: string) a file, or a function that is called with the text; default
---  standard error
function dump.dump(to)
  local text = dump.text()
  if to == nil then to = io.stderr end
  if type(to) == "function" then
    to(text)
  elseif io.type(to) == "file" then
    to:write(text)
  else
    usage.argument(1, "dump", "open file or function expected, got %s",
      io.type(to) or usage.kind(to))
  end
end

return dump
