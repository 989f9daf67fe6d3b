-- SPDX-License-Identifier: MIT
--
-- The interactive mode, as `lua -i` has it: an expression's values are printed (tables with their
-- content), a statement that is not complete goes on in the next line, an error is shown and the
-- session continues. Reading a
-- line suspends this task only, so whatever was spawned goes on meanwhile.
--
-- On a terminal lines are edited with readline and remembered in ~/.lariat_history (or in
-- $LARIAT_HISTORY; empty: nowhere). Anything else is read through lariat.stdin, without prompts.
-- Ctrl-C drops the line or interrupts what runs; the end of input ends the program, as os.exit.

local core = require "lariat.core"
local help = require "lariat.internal.repl.help"
local inspect = require "lariat.internal.repl.inspect"

local readline, interrupt, task = core.readline, core.interrupt, core.task
local exit = os.exit

local repl = {}

-- Errors ------------------------------------------------------------------------------------------

-- The message with a traceback of everything above the session's own functions.
local function explain(err)
  if rawequal(err, task.cancelled) then return err end
  local message, by_itself = task.message(err)
  return by_itself and message or task.explain(err, 2) .. "\n\t[C]: in ?"
end

local function report(message)
  io.stdout:flush()
  io.stderr:write(message, "\n")
end

-- Completion: without calling metamethods, which might wait or have effects -----------------------

local KEYWORDS = {
  "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in",
  "local", "nil", "not", "or", "repeat", "return", "then", "true", "until", "while",
}

local lookup_chain = help.lookup_chain

local function field(value, name)
  for _, t in ipairs(lookup_chain(value)) do
    local found = rawget(t, name)
    if found ~= nil then return found end
  end
end

--- What a word may become: names of globals, `table.field` and `object:method`.
---@param word string
---@return string[]
function repl.complete(word)
  local path, separator, prefix = word:match "^(.*)([.:])([%w_]*)$"
  local found, seen = {}, {}
  local function add(name, value)
    if type(name) ~= "string" or seen[name] or name:sub(1, #prefix) ~= prefix then return end
    if not name:match "^[%a_][%w_]*$" then return end
    if separator == ":" and type(value) ~= "function" then return end
    seen[name] = true
    found[#found + 1] = (path or "") .. (separator or "") .. name
  end
  local value = _G
  prefix = prefix or word
  for name in (path or ""):gmatch "[^.:]+" do value = field(value, name) end
  for _, t in ipairs(lookup_chain(value)) do
    for name, v in next, t do add(name, v) end
  end
  if not path then
    for _, name in ipairs(KEYWORDS) do add(name) end
  end
  table.sort(found)
  return found
end

-- Input -------------------------------------------------------------------------------------------

-- Where lines come from: read(prompt) -> line or nil; remember(chunk).
---@class lariat.repl.Input
---@field read fun(prompt: string): string?
---@field remember fun(chunk: string)
---@field terminal boolean

local function history_file()
  local path = os.getenv "LARIAT_HISTORY"
  local home = os.getenv "HOME"
  if path then return path ~= "" and path or nil end
  return home and home ~= "" and home .. "/.lariat_history" or nil
end

local function terminal_input()
  local path = history_file()
  if path then readline.history(path) end
  local function remember(chunk)
    if chunk:find "%S" then readline.remember(chunk) end
  end
  local function read(prompt) return readline.read(prompt, repl.complete) end
  return { read = read, remember = remember, terminal = true }
end

local function plain_input()
  local stdin = require "lariat".stdin
  local function read()
    local line, _, rest = stdin:receive "*l"
    return line or rest ~= "" and rest or nil
  end
  return { read = read, remember = function() end, terminal = false }
end

-- Before another task prints, the line being edited is removed from the screen; it is drawn again
-- below the output. This covers print, io.write, file:write and reports of errors, but not
-- lariat.stdout.
local function guard_line()
  local files = getmetatable(io.stdout).__index
  local print_, write, write_file = print, io.write, files.write
  local function unfinished(...)
    local n = select("#", ...)
    return n > 0 and tostring((select(n, ...))):sub(-1) ~= "\n"
  end
  function print(...) -- luacheck: ignore 121
    readline.aside(false)
    return print_(...)
  end
  function io.write(...) -- luacheck: ignore 122
    if io.output() == io.stdout then readline.aside(unfinished(...)) end
    return write(...)
  end
  function files.write(file, ...)
    if file == io.stdout or file == io.stderr then readline.aside(unfinished(...)) end
    return write_file(file, ...)
  end
  task.onerror(function(_, traceback, title)
    report("lariat: " .. (title ~= "" and title .. ": " or "") .. traceback)
  end)
end

-- Read, evaluate, print ---------------------------------------------------------------------------

local function prompt(name, default)
  local value = _G[name]
  return value == nil and default or tostring(value)
end

-- Reads on while the chunk wants more lines. Returns its text, or nil at the end of input, and the
-- compiled function or nil and the message.
local function read_chunk(input)
  local text = input.read(prompt("_PROMPT", "> "))
  if not text then return nil end
  text = text:gsub("^=", "return ") -- as Lua 5.1 wanted it
  local chunk = load("return " .. text, "=stdin", "t")
  if chunk then return text, chunk end
  local message
  chunk, message = load(text, "=stdin", "t")
  while not chunk and message:sub(-5) == "<eof>" do
    local line = input.read(prompt("_PROMPT2", ">> "))
    if not line then break end
    text = text .. "\n" .. line
    chunk, message = load(text, "=stdin", "t")
  end
  return text, chunk, message
end

local function print_values(...)
  local values = table.pack(...)
  for i = 1, values.n do
    if type(values[i]) == "table" then values[i] = inspect(values[i]) end
  end
  print(table.unpack(values, 1, values.n))
end

local function show(ok, ...)
  if not ok then
    if rawequal((...), task.cancelled) then task.yield() end -- raises, if we are cancelled
    report((task.message((...))))
  elseif select("#", ...) > 0 then
    local printed, message = pcall(print_values, ...)
    if not printed then report(("error calling 'print' (%s)"):format((task.message(message)))) end
  end
end

-- False at the end of input.
local function step(input)
  local text, chunk, message = read_chunk(input)
  if not text then return false end
  input.remember(text)
  if chunk then
    show(interrupt.guard(explain, chunk))
  else
    report(message)
  end
  return true
end

local function keep(err) return err end

--- Reads and runs chunks until the input ends, and then ends the program.
function repl.run()
  local input = core.isatty(0) and core.isatty(1) and terminal_input() or plain_input()
  if input.terminal then guard_line() end
  core.on_deadlock(task.current())
  core.interactive() -- errors of background tasks are reported, and the session goes on
  if rawget(_G, "help") == nil then rawset(_G, "help", help.global) end
  -- Between two chunks Ctrl-C is for the line at a terminal; elsewhere it ends the program.
  if input.terminal then interrupt.interruptible(task.current()) end
  local function read_and_run()
    if input.terminal then return interrupt.guard(keep, step, input) end
    return pcall(step, input)
  end
  local ok, going_on
  repeat
    ok, going_on = read_and_run()
    local interrupted = type(going_on) == "string" and going_on:find "interrupted!$"
    if not ok and not interrupted then error(going_on, 0) end
  until not going_on
  if input.terminal then io.stdout:write "\n" end
  exit(true)
end

return repl
