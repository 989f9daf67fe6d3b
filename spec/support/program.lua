-- SPDX-License-Identifier: MIT
--
-- Running lariat itself as a child process.
--
--   local script <close> = program.file "print(...)"
--   local out, err, status = program.lariat { script.path, "argument" }

local lariat = require "lariat"
local task = require "lariat.task"

local program = { path = os.getenv "LARIAT" or "./lariat" }

--- A file with this content, removed at the end of the `<close>` variable.
---@param content string
---@param suffix? string of its name
---@return { path: string }
function program.file(content, suffix)
  local reserved = os.tmpname()
  local path = reserved .. (suffix or "")
  local file <close> = assert(io.open(path, "w"))
  file:write(content)
  return setmetatable({ path = path }, { __close = function()
    os.remove(path)
    if path ~= reserved then os.remove(reserved) end
  end })
end

--- Starts lariat with its three streams as pipes.
---@param arguments string[]
---@param env? table<string, string> added to the environment
---@return table child a `<close>` variable
function program.start(arguments, env)
  local command = { program.path, table.unpack(arguments) }
  if env then
    command.env = env
  end
  command.stdin, command.stdout, command.stderr = "pipe", "pipe", "pipe"
  return assert(lariat.run(command))
end

--- Runs lariat to its end.
---@param arguments string[]
---@param input? string for its standard input
---@param env? table<string, string> added to the environment
---@return string out
---@return string err
---@return integer|string status exit status, or the name of the signal it died by
function program.lariat(arguments, input, env)
  local child <close> = program.start(arguments, env)
  local errors = task.spawn(function() return child.stderr:receive "*a" or "" end)
  child.stdin:send(input or "")
  child.stdin:close()
  local out = child.stdout:receive "*a" or ""
  local err = errors:join()
  local _, status = child:wait()
  return out, err, status
end

return program
