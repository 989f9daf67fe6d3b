-- SPDX-License-Identifier: MIT
--
-- A script finds its own modules in its folder, after all entries of package.path and
-- package.cpath. The folder is found once, when the script begins, with symbolic links resolved: a
-- link to a script leads to the modules beside the script itself, and changing the current
-- directory later has no effect. A searcher in package.searchers was rejected: code that searches
-- for files by itself (package.searchpath, loaders of other languages) reads package.path.

local folder = require "lariat.core".folder

local searchpath = {}

local function without(text, entries)
  local first, last = text:find(entries, 1, true)
  return first and text:sub(1, first - 1) .. text:sub(last + 1) or text
end

--- Adds the folder of a script.
---@param library table the `package` of the globals that the script will have
---@param script? string its path; nil, "-": it lies in no folder
---@return fun() # takes it away again
function searchpath.add(library, script)
  local dir = script and script ~= "-" and folder(script)
  local texts = type(library.path) == "string" and type(library.cpath) == "string"
  -- These two characters have a meaning in package.path, and cannot be quoted.
  if not dir or dir:find "[;?]" or not texts then return function() end end
  if dir == "/" then dir = "" end
  local path, cpath = (";%s/?.lua;%s/?/init.lua"):format(dir, dir), (";%s/?.so"):format(dir)
  library.path, library.cpath = library.path .. path, library.cpath .. cpath
  return function()
    library.path, library.cpath = without(library.path, path), without(library.cpath, cpath)
  end
end

return searchpath
