-- SPDX-License-Identifier: MIT
--
-- Checks the floors of src/: a file includes and calls only files of its own floor and of lower
-- ones.
--
--   ./lariat .ci/floors.lua OBJECTS      OBJECTS: a folder of object files laid out as src/ is
--
-- Calls are found in the symbol tables of the object files. The check fails, naming both files, if
-- one includes or calls a file of a higher floor, if an include has no folder, or if files need one
-- another in a circle that is not listed below. A listed circle that has become smaller is a
-- failure, too, so that the list only shrinks.

local lariat = require "lariat"

-- From the ground up.
local FLOORS =
  { "base", "task", "kernel", "net", "loop", "process", "repl", "exact", "sim", "main" }

-- The circles that remain: files of one floor that need one another.
local CIRCLES = {
  "net/class net/drain net/output net/socket",
  "sim/connect sim/datagram sim/flow sim/group sim/machine sim/network sim/option sim/socket "
    .. "sim/stream",
  "task/object task/report task/scope task/task task/wait task/waitq",
}

local rank = {}
for i, floor in ipairs(FLOORS) do rank[floor] = i end

-- The floor of a file such as "net/send.c"; files of src/ itself are the last one.
local function floor_of(file)
  local folder = file:match "^(.-)/"
  return folder or "main"
end

local problems = {}
local function problem(...) problems[#problems + 1] = string.format(...) end

local function output_of(command)
  local child <close> = assert(lariat.run(command))
  local text = child.stdout:receive "a"
  local how, code = child:wait()
  assert(how == "exit" and code == 0, table.concat(command, " ") .. " failed")
  return text
end

local function sorted_keys(t)
  local keys = {}
  for key in pairs(t) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

-- Includes ---------------------------------------------------------------------------------------

local function check_include(file, line, included)
  local floor = floor_of(included)
  if not rank[floor] or not included:find "/" and floor_of(file) ~= "main" then
    problem("src/%s:%d: \"%s\" does not name its folder", file, line, included)
  elseif rank[floor] > rank[floor_of(file)] then
    problem("src/%s:%d: %s includes \"%s\", which is above it", file, line, floor_of(file),
      included)
  end
end

local function check_includes(files)
  for _, file in ipairs(files) do
    local n = 0
    for line in io.lines("src/" .. file) do
      n = n + 1
      local included = line:match '^#include "(.-)"'
      if included then check_include(file, n, included) end
    end
  end
end

-- Symbols ----------------------------------------------------------------------------------------

-- What each object defines: symbol -> file; and needs: file -> list of symbols.
local function read_symbols(objects, files)
  local defines, needs = {}, {}
  for _, file in ipairs(files) do
    local unit = file:match "^(.*)%.c$"
    if unit and unit ~= "embed" then
      needs[unit] = {}
      local table_of = output_of { "nm", "-P", ("%s/%s.o"):format(objects, unit) }
      for symbol, kind in table_of:gmatch "(%S+) (%a)[^\n]*" do
        if kind == "U" then
          table.insert(needs[unit], symbol)
        elseif kind:match "[A-TV-Z]" then
          defines[symbol] = unit
        end
      end
    end
  end
  return defines, needs
end

-- Arrows between files: from -> to -> one of the symbols.
local function arrows_of(defines, needs)
  local arrows, count = {}, 0
  for from, symbols in pairs(needs) do
    arrows[from] = {}
    for _, symbol in ipairs(symbols) do
      local to = defines[symbol]
      if to and to ~= from then
        count = count + (arrows[from][to] and 0 or 1)
        arrows[from][to] = symbol
      end
    end
  end
  return arrows, count
end

local function check_arrows(arrows)
  local up = 0
  for _, from in ipairs(sorted_keys(arrows)) do
    for _, to in ipairs(sorted_keys(arrows[from])) do
      if rank[floor_of(to)] > rank[floor_of(from)] then
        up = up + 1
        problem("src/%s.c calls up: %s of src/%s.c", from, arrows[from][to], to)
      end
    end
  end
  return up
end

-- Circles ----------------------------------------------------------------------------------------

-- The strongly connected components of more than one file (Tarjan's algorithm).
local function circles_of(arrows)
  local index, low, stack, on, n, circles = {}, {}, {}, {}, 0, {}
  local function visit(v)
    n = n + 1
    index[v], low[v] = n, n
    stack[#stack + 1], on[v] = v, true
    for w in pairs(arrows[v] or {}) do
      if not index[w] then visit(w) end
      if on[w] then low[v] = math.min(low[v], low[w]) end
    end
    if low[v] < index[v] then return end
    local circle = {}
    repeat
      local w = table.remove(stack)
      on[w] = nil
      table.insert(circle, w)
    until w == v
    table.sort(circle)
    if #circle > 1 then table.insert(circles, circle) end
  end
  for _, v in ipairs(sorted_keys(arrows)) do
    if not index[v] then visit(v) end
  end
  return circles
end

local function check_circles(circles)
  local found, allowed = {}, {}
  for _, names in ipairs(CIRCLES) do allowed[names] = true end
  for _, circle in ipairs(circles) do
    local names = table.concat(circle, " ")
    found[names] = true
    if not allowed[names] then
      problem("a circle of %d files that is not listed: %s", #circle, names)
    end
  end
  for _, names in ipairs(CIRCLES) do
    if not found[names] then problem("listed, but no circle any more: %s", names) end
  end
end

-- The check ---------------------------------------------------------------------------------------

local objects = assert(arg[1], "usage: lariat .ci/floors.lua OBJECTS")
local files = {}
for file in output_of { "find", "src", "-name", "*.[ch]", "-printf", "%P\n" }:gmatch "[^\n]+" do
  files[#files + 1] = file
  if not rank[floor_of(file)] then problem("src/%s: its folder is no floor", file) end
end
table.sort(files)
if #problems == 0 then
  check_includes(files)
  local arrows, count = arrows_of(read_symbols(objects, files))
  local up = check_arrows(arrows)
  local circles = circles_of(arrows)
  check_circles(circles)
  print(("floors: %d files, %d arrows between them, %d upwards, %d circles"):format(#files, count,
    up, #circles))
end
for _, text in ipairs(problems) do io.stderr:write("floors: ", text, "\n") end
if #problems > 0 then os.exit(1) end
