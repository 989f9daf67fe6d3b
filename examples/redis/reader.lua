-- SPDX-License-Identifier: MIT
--
-- Reads the commands of RESP, the protocol of redis_server.lua. A command is an array of strings,
--   "*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n"
-- or a line typed by hand, "ECHO hi".

local byte, find, sub = string.byte, string.find, string.sub

local LONGEST_LINE = 64 * 1024
local LONGEST_STRING = 16 * 1024 * 1024
local MOST_STRINGS = 1024 * 1024 -- in one command
local LARGEST = 64 * 1024 * 1024 -- bytes of one command

-- The four bytes with which a short string begins, and what they say: "$5\r\n" -> 5, "$12\r" -> 12.
local SIZES = {}
for size = 0, 99 do SIZES[("$" .. size .. "\r\n"):sub(1, 4)] = size end

-- The number in a line such as "*3" or "$5", or nil.
local function length_in(line)
  return math.tointeger(line:match "^.(%-?%d+)\r?$")
end

local function words_in(line)
  local words = {}
  for word in line:gmatch "%S+" do words[#words + 1] = word end
  return words
end

--- Makes a function that reads the next command: a list of words (maybe empty), or nil and what
--- to tell the client, if anything. It calls `receive` for more when those bytes are used up.
return function(receive)
  local data, at = "", 1 -- what has come, and where the part begins that has not been read

  -- Waits until `size` bytes are there to be read; false: the client is gone.
  local function fill(size)
    local pieces = { sub(data, at) }
    local missing = size - #pieces[1]
    while missing > 0 do
      local piece = receive()
      if not piece then return false end
      pieces[#pieces + 1] = piece
      missing = missing - #piece
    end
    data, at = table.concat(pieces), 1
    return true
  end

  -- A command of two or three short words, if it is all here; looked up rather than parsed.
  local function usual_command()
    local bytes, head, from = data, sub(data, at, at + 3), at + 4
    local words = head == "*2\r\n" and { "", "" } or head == "*3\r\n" and { "", "", "" }
    if not words then return nil end
    for i = 1, #words do
      local size = SIZES[sub(bytes, from, from + 3)]
      if not size then return nil end
      local first = from + (size < 10 and 4 or 5)
      from = first + size + 2
      words[i] = sub(bytes, first, from - 3)
    end
    if from > #bytes + 1 then return nil end
    at = from
    return words
  end

  -- A line, without its end; false: it is too long; nil: the client is gone.
  local function read_line()
    local last
    repeat
      last = find(data, "\n", at, true)
      if not last and #data - at >= LONGEST_LINE then return false end
      if not last and not fill(#data - at + 2) then return nil end
    until last
    local line = sub(data, at, last - 1)
    at = last + 1
    return #line <= LONGEST_LINE and line
  end

  local function read_size()
    local line = read_line()
    if not line then return nil, line == false and "too big bulk count string" end
    if byte(line) ~= 36 then -- "$"
      return nil, ("expected '$', got '%s'"):format(line:sub(1, 1):gsub("%c", "?"))
    end
    local size = length_in(line)
    if not size or size < 0 or size > LONGEST_STRING then return nil, "invalid bulk length" end
    return size
  end

  -- One string of the array: its length on a line, its bytes, CR LF.
  local function read_string()
    local size, message = read_size()
    if not size then return nil, message end
    if at + size + 1 > #data and not fill(size + 2) then return nil end
    local first = at
    at = first + size + 2
    return sub(data, first, first + size - 1)
  end

  return function()
    if at > #data and not fill(1) then return nil end
    local usual = usual_command()
    if usual then return usual end
    local line = read_line()
    if not line then return nil, line == false and "too big inline request" end
    if byte(line) ~= 42 then return words_in(line) end -- "*"
    local count = length_in(line)
    if not count or count > MOST_STRINGS then return nil, "invalid multibulk length" end
    local words, bytes = {}, 0
    for i = 1, count do
      local word, message = read_string()
      if not word then return nil, message end
      words[i] = word
      bytes = bytes + #word
      if bytes > LARGEST then return nil, "command too large" end
    end
    return words
  end
end
