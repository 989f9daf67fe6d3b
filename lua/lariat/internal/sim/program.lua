-- SPDX-License-Identifier: MIT
--
-- The program of a host: a script gets fresh globals (src/sim/globals.c), whose standard streams
-- are the host's; a function shares the globals of the code that made it. Functions that would
-- leave the simulation, or block it, raise an error.

local standard = require "lariat.core".standard
local core = require "lariat.core".sim
local searchpath = require "lariat.internal.searchpath"

local program = {}

-- What is not simulated ---------------------------------------------------------------------------

local function refusal(name, instead)
  return function()
    error(("%s is not simulated: %s"):format(name, instead), 2)
  end
end

local NO_PROCESS = "a host runs no other programs"
local NO_INPUT = "only a host that runs a script has a standard input of its own"
local NO_STREAMS = "only a host that runs a script has standard streams of its own"

-- os.remove on a host: removes the name of a unix socket of the host's, else a real file.
local function removal(remove)
  return function(name)
    if type(name) == "string" and core.remove(name) then return true end
    return remove(name)
  end
end

-- Makes lariat.stdin, stdout and stderr errors in shared globals: the module would keep the streams
-- of the run after its end.
local function forbid_streams()
  local own = {}
  for name, open in pairs(standard) do
    own[name] = open
    standard[name] = function()
      error(("lariat.%s is not simulated: %s"):format(name, NO_STREAMS), 3)
    end
  end
  return function()
    for name, open in pairs(own) do standard[name] = open end
  end
end

-- io.stdin in shared globals: every method raises an error.
local NO_STDIN = setmetatable({}, {
  __name = "FILE*",
  __index = function(_, method) return refusal("io.stdin:" .. method, NO_INPUT) end,
})

--- Replaces what a simulation must not do in shared globals; returns a function that restores it.
---@param globals table
---@return function
function program.forbid(globals)
  local io, os = globals.io, globals.os
  local execute, popen, read, lines = os.execute, io.popen, io.read, io.lines
  local remove, stdin, restore_streams = os.remove, io.stdin, forbid_streams()
  os.execute = refusal("os.execute", NO_PROCESS)
  os.remove = removal(remove)
  io.popen = refusal("io.popen", NO_PROCESS)
  io.read, io.stdin = refusal("io.read", NO_INPUT), NO_STDIN
  io.lines = function(name, ...)
    if name == nil then error("io.lines is not simulated: " .. NO_INPUT, 2) end
    return lines(name, ...)
  end
  return function()
    os.execute, io.popen, io.read, io.lines = execute, popen, read, lines
    os.remove, io.stdin = remove, stdin
    restore_streams()
  end
end

-- Standard streams of a script --------------------------------------------------------------------

local function text_of(method, ...)
  local parts = table.pack(...)
  for i = 1, parts.n do
    if type(parts[i]) ~= "string" and type(parts[i]) ~= "number" then
      error(("bad argument #%d to '%s' (string expected, got %s)"):format(i, method,
        type(parts[i])), 3)
    end
  end
  return table.concat(parts)
end

local function no_op() return true end

local function output_file(number)
  local file = { flush = no_op, setvbuf = no_op, close = no_op }
  function file:write(...)
    core.write(number, text_of("write", ...))
    return self
  end
  return setmetatable(file, { __index = file, __name = "FILE*" })
end

-- io.read and file:read on a stream: formats l, L, a and numbers.
local function read_one(stream, format)
  if type(format) == "string" then format = format:gsub("^%*", "") end
  if format == "n" then error("io.read: the format 'n' is not simulated", 3) end
  if format == "a" then return (stream():receive "a") or "" end
  if format == "l" or format == "L" then
    local line, _, rest = stream():receive "L"
    line = line or rest ~= "" and rest or nil
    return line and format == "l" and line:gsub("\n$", "") or line
  end
  local data, _, rest = stream():receive(format)
  return data or rest ~= "" and rest or nil
end

local function input_file(stream)
  local file = { close = no_op, setvbuf = no_op }
  function file:read(...)
    local formats = table.pack(...)
    if formats.n == 0 then formats = { "l", n = 1 } end
    local results = {}
    for i = 1, formats.n do
      local value = read_one(stream, formats[i])
      results[i] = value
      if value == nil then return table.unpack(results, 1, i) end
    end
    return table.unpack(results, 1, formats.n)
  end
  function file:lines(...)
    local formats = table.pack(...)
    return function() return self:read(table.unpack(formats, 1, formats.n)) end
  end
  return setmetatable(file, { __index = file, __name = "FILE*" })
end

local function give_streams(globals)
  local io, tostring = globals.io, globals.tostring
  local open_input, open_output, lines = io.input, io.output, io.lines
  local stdin = input_file(function() return globals.require "lariat".stdin end)
  local stdout, input, output = output_file(1), nil, nil
  io.stdin, io.stdout, io.stderr = stdin, stdout, output_file(2)
  function io.input(file) input = file and open_input(file) or input return input or stdin end
  function io.output(file) output = file and open_output(file) or output return output or stdout end
  function io.read(...) return io.input():read(...) end
  function io.write(...) return io.output():write(...) end
  function io.lines(name, ...)
    if name then return lines(name, ...) end
    return io.input():lines(...)
  end
  function globals.print(...)
    local parts = table.pack(...)
    for i = 1, parts.n do parts[i] = tostring(parts[i]) end
    core.write(1, table.concat(parts, "\t") .. "\n")
  end
end

-- Programs ----------------------------------------------------------------------------------------

-- A seed for the host's math.random: the same in every run of the simulation's seed, and different
-- for each host.
local function seed_of(seed, id)
  return core.draw(seed, 1000 + id)
end

local function prepare(host, globals, path, ...)
  give_streams(globals)
  globals.os.execute = refusal("os.execute", NO_PROCESS)
  globals.os.remove = removal(globals.os.remove)
  globals.io.popen = refusal("io.popen", NO_PROCESS)
  globals.math.randomseed(seed_of(host.seed, host.id))
  globals.arg = { [0] = path, ... }
  searchpath.add(globals.package, path)
  local own = globals.require "lariat.core".task
  function own.onerror(f)
    local before = host.own_onerror
    host.own_onerror = f
    return before
  end
end

--- The function of a host's main task.
---@param host lariat.sim.Host
---@param what string|function
---@return function
function program.main(host, what)
  if type(what) == "function" then return what end
  local globals = core.globals(host.id)
  return function(...)
    prepare(host, globals, what, ...)
    local chunk, message = globals.loadfile(what)
    if not chunk then error(message, 0) end
    return chunk(...)
  end
end

return program
