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

---@param new? string
---@return string # its name so far; by default the line where its function begins
function Task:name(new) end

---@return string? # where it is, or where its error was raised
function Task:traceback() end

---@class lariat.TaskInfo
---@field task lariat.Task
---@field name string
---@field status "ready"|"running"|"waiting"
---@field age number
---@field spawned_at? string
---@field where? string
---@field waiting_for? string
---@field peer? string
---@field since? number
---@field traceback string

---@class lariat.task
---@field cancelled userdata the value that cancellation raises
local task = {}

--- Runs f(...) in a task of its own.
---@param options { name?: string } may be left out
---@param f fun(...: any): any ...
---@param ... any
---@return lariat.Task
---@overload fun(f: fun(...: any), ...: any): lariat.Task
function task.spawn(options, f, ...) end

--- Every task that has not ended, oldest first.
---@return lariat.TaskInfo[]
function task.list() end

--- Prints every task, socket and child process; default: to stderr.
---@param to? file*|fun(text: string)
function task.dump(to) end

--- Suspends the calling task.
---@param seconds number
function task.sleep(seconds) end

--- Lets the others go first.
function task.yield() end

---@return number seconds of a monotonic clock
function task.now() end

---@return lariat.Task
function task.current() end

--- Tasks that end before the group does.
---@class lariat.Group
local Group = {}

--- Starts f(...) in the group.
---@param options { name?: string } may be left out
---@param f fun(...: any): any ...
---@param ... any
---@return lariat.Task
---@overload fun(self, f: fun(...: any), ...: any): lariat.Task
function Group:spawn(options, f, ...) end

--- Cancels the children and the group's own body.
---@return boolean asked false if it was cancelled or had ended
function Group:cancel() end

--- Runs f(g) and waits for what g:spawn started; without f, a `<close>` variable.
---@param f? fun(g: lariat.Group): any ...
---@return any ... what f returns; or nil and "cancelled"
function task.group(f) end

--- Returns what the first function to end returns; the others are cancelled.
---@param ... fun(): any ...
---@return any ...
function task.race(...) end

--- Returns the first result of each function, in order.
---@param ... fun(): any
---@return any ...
function task.all(...) end

--- Runs f(...) for at most so many seconds.
---@param seconds number
---@param f fun(...: any): any ...
---@param ... any
---@return any ... what f returns; or nil and "deadline"
function task.timeout(seconds, f, ...) end

--- Runs f(...) until a moment of task.now().
---@param at number
---@param f fun(...: any): any ...
---@param ... any
---@return any ...
function task.deadline(at, f, ...) end

--- Runs f(...) for at most so many seconds; cancellations and deadlines from outside wait until then.
---@param seconds number
---@param f fun(...: any): any ...
---@param ... any
---@return any ...
function task.shield(seconds, f, ...) end

---@class lariat.Channel
---@overload fun(): any
local Channel = {}

---@param value any not nil
---@param seconds? number
---@return true? sent
---@return "timeout"|"closed"? message
function Channel:send(value, seconds) end

---@param seconds? number
---@return any value
---@return "timeout"|"closed"? message
function Channel:receive(seconds) end

---@return boolean # false if it was closed before
function Channel:close() end

---@return integer # values inside
function Channel:size() end

---@return boolean # would receive return at once?
function Channel:ready() end

---@param capacity? number default 0
---@return lariat.Channel
function task.channel(capacity) end

---@class lariat.Semaphore
local Semaphore = {}

---@param seconds? number
---@return true? acquired
---@return "timeout"? message
function Semaphore:acquire(seconds) end

function Semaphore:release() end

--- Runs f(...) with a permit.
---@param f fun(...: any): any ...
---@param ... any
---@return any ...
function Semaphore:with(f, ...) end

---@return boolean # is there a permit?
function Semaphore:ready() end

---@param n integer permits
---@return lariat.Semaphore
function task.semaphore(n) end

---@class lariat.Event
local Event = {}

function Event:set() end

function Event:clear() end

---@param seconds? number
---@return true? set
---@return "timeout"? message
function Event:wait(seconds) end

---@return boolean
function Event:ready() end

---@return lariat.Event
function task.event() end

--- The first of the objects that is ready; consumes nothing.
---@param objects any[] sockets, channels, events, semaphores, tasks
---@param seconds? number
---@return any? object
---@return "timeout"? message
function task.wait(objects, seconds) end

return task
