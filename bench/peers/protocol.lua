-- SPDX-License-Identifier: MIT
--
-- The benchmark's protocols for runtimes that hand on bytes as they come: what is to be answered to
-- a chunk, as one string, so that it costs one write. Lua 5.1 and newer.

local store, values = {}, {}
for i = 0, 9999 do
  local key = ("key%05d"):format(i)
  store[key] = ("%-32s\n"):format(key)
  values[key] = ("%-32s"):format(key)
end

-- What is answered to a line, which comes without its end.
local answers = {
  lines = function(line) return line .. "\n" end,
  lines_concat = function(line) return line .. "\n" end,
  get = function(line) return store[line:match "^GET (.+)"] or "?\n" end,
  kv = function(line)
    local value = values[line:match "^GET (.+)"]
    return value and "VALUE " .. value .. "\n" or "?\n"
  end,
}

-- protocol(mode, touch) -> a function from each chunk of a connection to its answer.
return function(mode, touch)
  local answer, rest = answers[mode], ""
  if mode == "echo" then
    return function(chunk)
      if touch then touch(chunk) end
      return chunk
    end
  end
  return function(chunk)
    if rest ~= "" then chunk = rest .. chunk end
    local replies, count, start = {}, 0, 1
    local stop = chunk:find("\n", start, true)
    while stop do
      local line = chunk:sub(start, stop - 1)
      count = count + 1
      replies[count] = answer(line)
      if touch then touch(line) end
      start = stop + 1
      stop = chunk:find("\n", start, true)
    end
    rest = chunk:sub(start)
    return table.concat(replies, "", 1, count)
  end
end
