---@meta lariat.task
-- SPDX-License-Identifier: MIT
--
-- The module `lariat.task` for lua-language-server.

--- A task's handle. As a `<close>` variable it cancels the task.
---@class lariat.Task
local Task = {}

--- Waits for the end and returns the task's results; raises its error again.
---@param seconds? number
---@return any ... results; or nil and "cancelled" or "timeout"
function Task:join(seconds) end

--- Has every wait of the task raise task.cancelled from now on.
---@return boolean asked false if it had ended
function Task:cancel() end

---@return "ready"|"running"|"waiting"|"done"|"failed"|"cancelled"
function Task:status() end

---@return string # its name, or the line that spawned it
function Task:name() end

---@return string? # where it is, or where its error was raised
function Task:traceback() end

---@class lariat.task
---@field cancelled userdata the value that cancellation raises
local task = {}

--- Runs f(...) in a task of its own.
---@param f fun(...: any): any ...
---@param ... any
---@return lariat.Task
function task.spawn(f, ...) end

--- Suspends the calling task.
---@param seconds number
function task.sleep(seconds) end

--- Lets the others go first.
function task.yield() end

---@return number seconds of a monotonic clock
function task.now() end

---@return lariat.Task
function task.current() end

return task
