-- SPDX-License-Identifier: MIT
--
-- `help` at the prompt: alone it shows a text; called with a value it lists the value's fields and
-- methods. It calls no metamethods, which might wait or have effects.

local help = {}

local TEXT = [[
Type an expression to see its values, a statement to run it; what is not complete
goes on in the next line. Everything may wait; other tasks go on meanwhile. A
local variable ends with its line: make it global.

  socket = require "socket"       conn = socket.connect("localhost", 7000)
  task = require "lariat.task"    t = task.spawn(f, ...)    task.list()
  lariat = require "lariat"       lariat.run { "ls" }       lariat.sockets()

  help(value)   the fields and methods of a module, socket, task, ...
  Tab           completes names        Ctrl-C   drops the line, interrupts what runs
  os.exit()     ends the program, as does the end of input (Ctrl-D)

All functions are described in docs/reference.md, the switches by `man lariat`.]]

-- The table where indexing goes on when `value` itself has no such field.
local function behind(value)
  local metatable = debug.getmetatable(value)
  local index = type(metatable) == "table" and rawget(metatable, "__index")
  return type(index) == "table" and index or nil
end

--- The tables that are asked for a field of `value`, in order.
---@param value any
---@return table[]
function help.lookup_chain(value)
  local chain, depth = {}, 0
  if type(value) ~= "table" then value = behind(value) end
  while value and depth < 10 do
    depth = depth + 1
    chain[depth] = value
    value = behind(value)
  end
  return chain
end

-- Names of fields, functions with "()"; sorted.
local function names_of(value)
  local names, seen = {}, {}
  for _, t in ipairs(help.lookup_chain(value)) do
    for name, field in next, t do
      if type(name) == "string" and name:find "^%a[%w_]*$" and not seen[name] then
        seen[name] = true
        names[#names + 1] = type(field) == "function" and name .. "()" or name
      end
    end
  end
  table.sort(names)
  return names
end

local WIDTH = 78

-- In columns, downwards.
local function columns(names)
  local widest = 0
  for _, name in ipairs(names) do widest = math.max(widest, #name) end
  local across = math.max(1, WIDTH // (widest + 2))
  local down = math.ceil(#names / across)
  local lines = {}
  for row = 1, down do
    local cells = {}
    for i = row, #names, down do cells[#cells + 1] = ("%-" .. widest .. "s"):format(names[i]) end
    lines[row] = "  " .. table.concat(cells, "  "):gsub(" +$", "")
  end
  return table.concat(lines, "\n")
end

local function describe(value)
  if type(value) == "function" then
    return tostring(value) .. ": lariat's functions are described in docs/reference.md"
  end
  local names = names_of(value)
  if #names == 0 then return tostring(value) .. " has no fields" end
  return tostring(value) .. " has\n" .. columns(names)
end

-- `help` shows the text, and so does `help()`.
help.global = setmetatable({}, {
  __name = "help",
  __tostring = function() return TEXT end,
  __call = function(_, ...) print(select("#", ...) == 0 and TEXT or describe((...))) end,
})

return help
