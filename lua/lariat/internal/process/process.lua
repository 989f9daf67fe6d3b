-- SPDX-License-Identifier: MIT
--
-- lariat.run: child processes with streams. Checks the script's arguments and makes the object that
-- it gets; forking, waiting and reaping are in C (src/process).

local lariat = require "lariat.core"
local usage = require "lariat.internal.usage"
local core, domain = lariat.process, lariat.dump.domain

local process = {}

--- A child process. Close it, or let a `<close>` variable do so: that closes its streams and ends
--- it (SIGTERM, a second later SIGKILL) without waiting. A child that nobody refers to any more,
--- neither itself nor one of its streams, is ended the same way, and so is every child at exit.
---@class lariat.Process
---@field pid integer
---@field stdin? table stream to its standard input, if that is a pipe; `close` it to end the input
---@field stdout? table stream of its standard output, if that is a pipe
---@field stderr? table stream of its standard error, if that is a pipe
local child = {}
child.__index = child
child.__name = "process"

-- `keeps` maps a stream to its child, so that a reference to the stream keeps the child from being
-- collected; `started` maps a child to the line that started it, and to its domain.
local keeps = setmetatable({}, { __mode = "k" })
local started = setmetatable({}, { __mode = "k" })

--- Waits until the child has ended. Any number of tasks may wait. If its output is a pipe, another
--- task must read it meanwhile: a child that writes to a full pipe does not end.
---@param seconds? number how long to wait; nil: as long as it takes
---@return "exit"|"signal"|nil how # nil if the time has passed, or the child was closed before
---@return integer|string status exit code | name of the signal, as "TERM" | "timeout" | "closed"
function child:wait(seconds)
  usage.check_self(self, child, "wait")
  usage.check_seconds(1, "wait", seconds)
  return self.handle:wait(seconds)
end

--- Sends a signal.
---@param signal? string "TERM" (the default), "KILL", "HUP", ... with or without "SIG"
---@return true? # nil if it has ended
---@return string? message "exited" | "closed"
function child:kill(signal)
  usage.check_self(self, child, "kill")
  if signal ~= nil and type(signal) ~= "string" then usage.type(1, "kill", "string", signal) end
  return self.handle:kill(signal)
end

--- Closes the streams and ends the child. Never waits; may be called again.
function child:close()
  usage.check_self(self, child, "close")
  for _, name in ipairs { "stdin", "stdout", "stderr" } do
    if self[name] then self[name]:close() end
  end
  self.handle:close()
end

child.__close = child.close

function child:__tostring()
  return ("process: %s (pid %d)"):format(self.program, self.pid)
end

-- Checking ----------------------------------------------------------------------------------------

local STREAMS = {
  stdin = { pipe = true, inherit = true, null = true },
  stdout = { pipe = true, inherit = true, null = true },
  stderr = { pipe = true, inherit = true, null = true, stdout = true },
}

local FIELDS = {
  stdin = true, stdout = true, stderr = true, input = true, env = true, clearenv = true, cwd = true,
}

local function wrong(field, message, ...)
  usage.error("bad field '%s' of 'run' (%s)", field, message:format(...))
end

local function check_string(field, value)
  if type(value) ~= "string" then wrong(field, "string expected, got %s", type(value)) end
  if value:find("\0", 1, true) then wrong(field, "contains a zero byte") end
  return value
end

local function check_arguments(options)
  local arguments = {}
  for i = 1, #options do
    local value = options[i]
    if type(value) == "number" then value = tostring(value) end
    arguments[i] = check_string(i, value)
  end
  if not arguments[1] or arguments[1] == "" then wrong(1, "name of a program expected") end
  return arguments
end

local function check_names(options, count)
  for name in pairs(options) do
    local known = FIELDS[name] or math.type(name) == "integer" and name >= 1 and name <= count
    if not known then usage.argument(1, "run", "%s", usage.no_option(name, FIELDS)) end
  end
end

local function check_environment(options)
  local overrides = options.env or {}
  if type(overrides) ~= "table" then wrong("env", "table expected, got %s", type(overrides)) end
  if options.clearenv ~= nil and type(options.clearenv) ~= "boolean" then
    wrong("clearenv", "boolean expected, got %s", type(options.clearenv))
  end
  local all = options.clearenv and {} or core.environ()
  for name, value in pairs(overrides) do
    if type(name) ~= "string" or name == "" or name:find("[=\0]") then
      wrong("env", "'%s' is no name of a variable", tostring(name))
    end
    if type(value) == "number" then value = tostring(value) end
    all[name] = value and check_string("env." .. name, value) or nil
  end
  local list = {}
  for name, value in pairs(all) do list[#list + 1] = name .. "=" .. value end
  return list
end

local CLASSES = { ["stream"] = true, ["tcp{client}"] = true, ["unixstream{client}"] = true }
local LISTENERS = { ["tcp{server}"] = true, ["unixstream{server}"] = true }

local WORDS = {
  stdin = "'pipe', 'inherit', 'null', a listener",
  stdout = "'pipe', 'inherit', 'null'",
  stderr = "'pipe', 'inherit', 'null', 'stdout'",
}

local function check_stream(options, name, default)
  local value = options[name]
  if value == nil then return default end
  if STREAMS[name][value] then return value end
  local class = type(value) == "userdata" and value.class
  if CLASSES[class] or name == "stdin" and LISTENERS[class] then return value end
  wrong(name, "%s or a stream expected, got %s", WORDS[name],
    type(value) == "string" and "'" .. value .. "'" or type(value))
end

local function check_input(options)
  local input = options.input
  if input == nil then return check_stream(options, "stdin", "null") end
  if type(input) ~= "string" then wrong("input", "string expected, got %s", type(input)) end
  if options.stdin ~= nil then wrong("input", "stdin is given, too") end
  return "=" .. input
end

local function check(options)
  local arguments = check_arguments(options)
  check_names(options, #arguments)
  return arguments, check_environment(options), options.cwd and check_string("cwd", options.cwd),
    check_input(options), check_stream(options, "stdout", "pipe"),
    check_stream(options, "stderr", "inherit")
end

-- Starting ----------------------------------------------------------------------------------------

local function new(program, where, handle, stdin, stdout, stderr)
  if not handle then return nil, stdin end
  local self = setmetatable({
    handle = handle, pid = handle:pid(), program = program,
    stdin = stdin, stdout = stdout, stderr = stderr,
  }, child)
  for _, name in ipairs { "stdin", "stdout", "stderr" } do
    if self[name] then keeps[self[name]] = handle end
  end
  started[self] = { where = where, domain = domain() }
  return self
end

--- What `run` takes: the list holds the program, searched in PATH unless it has a slash, and its
--- arguments; no shell is involved. A stream given for stdin, stdout or stderr, or a listener for
--- stdin, is handed over: the child has it, and the script's object is closed. (lariat.stdin,
--- stdout and stderr are lent, and stay open.)
---@class lariat.RunOptions
---@field [integer] string|number
---@field stdin? "null"|"pipe"|"inherit"|table default "null"
---@field stdout? "pipe"|"inherit"|"null"|table default "pipe"
---@field stderr? "inherit"|"pipe"|"null"|"stdout"|table default "inherit"; "stdout": with it
---@field input? string all that stdin will hold, instead of `stdin`
---@field env? table<string, string|number|false> variables to set (false: to remove)
---@field clearenv? boolean start from an empty environment instead of ours
---@field cwd? string directory to start in

--- Starts a program: `lariat.run{"curl", url, stderr = "null"}`. Does not wait for it.
---@param options lariat.RunOptions
---@return lariat.Process? # nil and a message that names what failed
---@return string? message
function process.run(options)
  if not usage.is_table(options) then usage.type(1, "run", "table", options) end
  return new(options[1], lariat.where() or "?", core.spawn(check(options)))
end

--- Iterates over the children that have neither ended nor been closed.
---@return fun(): lariat.Process?, string, integer the child, the line that started it, the owner
function process.each()
  local self, from
  return function()
    repeat self, from = next(started, self) until not self or self.handle:running()
    if self then return self, from.where, from.domain end
  end
end

return process
