-- SPDX-License-Identifier: MIT
--
-- Files of the project, by their paths from its top.

local files = {}

--- The whole text of a file, which must exist.
---@param path string
---@return string
function files.read(path)
  local file <close> = assert(io.open(path))
  return assert(file:read "a")
end

--- Can it be opened?
---@param path string
---@return boolean
function files.exists(path)
  local file <close> = io.open(path)
  return file ~= nil
end

return files
