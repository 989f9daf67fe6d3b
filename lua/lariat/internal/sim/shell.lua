-- SPDX-License-Identifier: MIT
--
-- The command that repeats a run, as text for a shell: each word arrives as it is here.

local PLAIN = "^[%w_./=,:@%%+-]+$" -- in no shell does one of these mean anything else

local function quoted(word)
  return word:find(PLAIN) and word or "'" .. word:gsub("'", "'\\''") .. "'"
end

--- Joins words to a command line.
---@param words string[]
---@return string
return function(words)
  local line = {}
  for i, word in ipairs(words) do line[i] = quoted(word) end
  return table.concat(line, " ")
end
