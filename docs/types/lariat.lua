---@meta lariat
-- SPDX-License-Identifier: MIT
--
-- The module `lariat` for lua-language-server: standard streams, signals, child processes.

---@class lariat.Versions
---@field lariat string
---@field lua string
---@field libuv string

---@class lariat
---@field stdin socket.Stream
---@field stdout socket.Stream
---@field stderr socket.Stream
---@field version string of lariat
---@field versions lariat.Versions
local lariat = {}

---@alias lariat.SignalName
---| "HUP" | "INT" | "QUIT" | "USR1" | "USR2" | "TERM" | "PIPE" | "CHLD" | "CONT" | "TSTP" | "TTIN"
---| "TTOU" | "URG" | "WINCH" | "IO" | "PWR" | "XCPU" | "XFSZ" | "VTALRM" | "PROF" | "SYS" | "TRAP"
---| "STKFLT"
---| string

--- A signal to be waited for; a `<close>` variable, and an iterator over its arrivals.
---@class lariat.Signal
---@overload fun(): string?, string?
local Signal = {}

--- Waits for the signal. One that has arrived before is kept.
---@param seconds? number
---@return string? name
---@return "timeout"|"closed"|nil message
function Signal:wait(seconds) end

--- Stops watching; the signal has its usual action again.
---@return integer ok 1
function Signal:close() end

--- Watches for a signal instead of its usual action.
---@param name lariat.SignalName
---@return lariat.Signal? watch
---@return string? message
function lariat.signal(name) end

---@class lariat.RunOptions
---@field [integer] string|number the program and its arguments
---@field stdin? "null"|"pipe"|"inherit"|socket.Stream|socket.TcpServer "null" by default
---@field stdout? "pipe"|"inherit"|"null"|socket.Stream "pipe" by default
---@field stderr? "inherit"|"pipe"|"null"|"stdout"|socket.Stream "inherit" by default
---@field input? string all that stdin will hold, instead of `stdin`
---@field env? table<string, string|number|false> variables to set, or with false to remove
---@field clearenv? boolean start from an empty environment
---@field cwd? string directory to start in

--- A child process; a `<close>` variable.
---@class lariat.Process
---@field pid integer
---@field program string
---@field stdin? socket.Stream if it is a pipe
---@field stdout? socket.Stream if it is a pipe
---@field stderr? socket.Stream if it is a pipe
local Process = {}

--- Waits until it has ended.
---@param seconds? number
---@return "exit"|"signal"|nil how
---@return integer|string status exit code, name of the signal, "timeout" or "closed"
function Process:wait(seconds) end

--- Sends a signal, "TERM" by default.
---@param signal? lariat.SignalName|"KILL"|"STOP"
---@return true?
---@return "exited"|"closed"|string|nil message
function Process:kill(signal) end

--- Closes the streams and ends the child, without waiting.
function Process:close() end

--- Starts a program; does not wait for it.
---@param options lariat.RunOptions
---@return lariat.Process? child
---@return string? message
function lariat.run(options) end

--- For a `<close>` variable: calls f, once, when the block is left, however that happens.
---@param f fun(err: any) is given the error that ends the block, or nil; may wait
---@return table
function lariat.defer(f) end

--- Is it a terminal? What is closed is none.
---@param x integer|file*|socket.Stream a descriptor's number, a file, or a stream
---@return boolean
function lariat.isatty(x) end

---@class lariat.SocketInfo
---@field class string
---@field sockname? string
---@field peername? string
---@field received integer
---@field sent integer
---@field queued integer
---@field made_at? string
---@field draining? boolean

--- Every open socket, oldest first.
---@return lariat.SocketInfo[]
function lariat.sockets() end

--- Sets what is told of errors nobody joins; nil: print them. Returns what was set before.
---@param f? fun(error: any, traceback: string, title: string, task: lariat.Task?)
---@return fun(error: any, traceback: string, title: string, task: lariat.Task?)? before
function lariat.onerror(f) end

return lariat
