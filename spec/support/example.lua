-- SPDX-License-Identifier: MIT
--
-- Runs the examples, and the programs that talk to them, as child processes.
--
--   local server <close> = example.start("tcp_echo_server", "127.0.0.1", 0)   -- server.port
--   local output, how, status = example.run("demo")
--   local output, how, status = example.peer { "dig", ..., input = "text" }

local lariat = require "lariat"

local example = {}

local LARIAT = os.getenv "LARIAT" or "./lariat"

-- These say on their standard error where they listen.
local DATA_ON_STDOUT = { netcat = true, reliable_udp = true }

local function command(name, ...)
  return { LARIAT, "examples/" .. name .. ".lua", ... }
end

local server = {}
server.__index = server

--- Ends it with SIGTERM, which must be what it dies of: not of an error, not of a sanitizer.
function server:stop()
  self.child:kill()
  local how, status = self.child:wait()
  self.child:close()
  assert(how == "signal" and status == "TERM", ("%s ended by %s %s"):format(self.name, how, status))
end

function server:__close(failure)
  if failure then self.child:close() else self:stop() end
end

--- Starts an example that listens, and waits for the line that says where.
---@param name string
---@param ... string|integer its arguments
---@return table server a `<close>` variable: child, host, port
function example.start(name, ...)
  local options = command(name, ...)
  options.stdin, options.stderr = "pipe", "pipe"
  local child = assert(lariat.run(options))
  local from = DATA_ON_STDOUT[name] and child.stderr or child.stdout
  local line = from:receive "*l" or ""
  local host, port = line:match "^listening on (%S+) (%d+)$"
  if not port then
    local told = child.stderr:receive "*a"
    child:close()
    error(("%s did not start: %s %s"):format(name, line, told))
  end
  local self = { name = name, child = child, host = host, port = math.tointeger(port) }
  return setmetatable(self, server)
end

--- Runs a program to its end: its standard output, and how it ended.
---@param options lariat.RunOptions
---@return string output
---@return string how
---@return integer|string status
function example.peer(options)
  options.stderr = options.stderr or "null"
  local child <close> = assert(lariat.run(options))
  local output = child.stdout:receive "*a" or ""
  return output, child:wait()
end

--- Runs an example to its end, with nothing on its standard input.
function example.run(name, ...)
  return example.peer(command(name, ...))
end

--- The same with a text on its standard input.
function example.run_with_input(input, name, ...)
  local options = command(name, ...)
  options.input = input
  return example.peer(options)
end

--- Starts an example or another program with pipes, for a conversation.
---@return table child a `<close>` variable
function example.talk(options)
  options.stdin, options.stderr = "pipe", options.stderr or "null"
  return assert(lariat.run(options))
end

function example.talk_to(name, ...)
  return example.talk(command(name, ...))
end

--- Reads lines from a stream until one has `text` in it.
---@return string line
function example.await(stream, text)
  local seen = {}
  while true do
    local line, message = stream:receive()
    if not line then
      error(("%s before '%s' came, after:\n%s"):format(message, text, table.concat(seen, "\n")), 2)
    end
    if line:find(text, 1, true) then return line end
    seen[#seen + 1] = line
  end
end

--- A directory that is removed with all that is in it, at the end of a `<close>` variable or by
--- closer.remove().
---@param parent? string where to make it; default: where temporary files are
function example.directory(parent)
  local path = example.peer { "mktemp", "-d", "-p", parent or os.getenv "TMPDIR" or "/tmp" }
    :match "%S+"
  local function remove() example.peer { "rm", "-rf", path } end
  return path, setmetatable({ remove = remove }, { __close = remove })
end

function example.write(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  assert(file:close())
end

function example.read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

--- A copy of the examples in which a bug has been planted: in `file`, `right` has become `wrong`.
---@return string path of the directory
---@return table closer a `<close>` variable that removes it
function example.broken(file, right, wrong)
  local path, closer = example.directory()
  example.peer { "cp", "-r", "examples/.", path }
  local source = example.read("examples/" .. file)
  local from, to = source:find(right, 1, true)
  assert(from and not source:find(right, to, true), ("not once in %s: %s"):format(file, right))
  example.write(path .. "/" .. file, source:sub(1, from - 1) .. wrong .. source:sub(to + 1))
  return path, closer
end

--- What an example does with command lines that make no sense: usage, and exit status 2.
function example.refuses(name, ...)
  local options = command(name, ...)
  options.stderr, options.stdout = "pipe", "null"
  local child <close> = assert(lariat.run(options))
  local told = child.stderr:receive "*a" or ""
  local how, status = child:wait()
  return told:find "^usage: lariat " ~= nil and how == "exit" and status == 2
end

return example
