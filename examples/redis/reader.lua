-- SPDX-License-Identifier: MIT
--
-- Reads the commands of RESP, the protocol of redis_server.lua. A command is an array of strings,
--   "*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n"
-- or a line typed by hand, "ECHO hi".

local syntax = require "redis.syntax"

local byte, find, sub = string.byte, string.find, string.sub
local sizes, counts, beginnings = syntax.sizes, syntax.counts, syntax.beginnings

--- Makes a function that reads the next command: a list of words (maybe empty), or nil and what
--- to tell the client, if anything. It calls `receive` for more when those bytes are used up.
--- The list is lent: whoever reads the next command, on any connection, may write to it.
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

  -- A line, without its end; false: it is too long; nil: the client is gone.
  local function read_line()
    local last
    repeat
      last = find(data, "\n", at, true)
      if not last and #data - at >= syntax.LONGEST_LINE then return false end
      if not last and not fill(#data - at + 2) then return nil end
    until last
    local line = sub(data, at, last - 1)
    at = last + 1
    return #line <= syntax.LONGEST_LINE and line
  end

  local function read_size()
    local line = read_line()
    if not line then return nil, line == false and "too big bulk count string" end
    if byte(line) ~= 36 then -- "$"
      return nil, ("expected '$', got '%s'"):format(line:sub(1, 1):gsub("%c", "?"))
    end
    local size = syntax.length_in(line)
    if not size or size < 0 or size > syntax.LONGEST_WORD then return nil, "invalid bulk length" end
    return size
  end

  -- A short string at `from`, if it is all here.
  local function short_string(from)
    local size = sizes[sub(data, from, from + 3)]
    if not size then return nil end
    local first = from + (size < 10 and 4 or 5)
    if first + size + 1 > #data then return nil end
    at = first + size + 2
    return sub(data, first, at - 3)
  end

  -- One string of the array: its length on a line, its bytes, CR LF.
  local function read_string()
    local size, message = read_size()
    if not size then return nil, message end
    if at + size + 1 > #data and not fill(size + 2) then return nil end
    at = at + size + 2
    return sub(data, at - size - 2, at - 3)
  end

  -- Any command, part by part.
  local function read_words()
    local count = counts[sub(data, at, at + 3)]
    if count then
      at = at + 4
    else
      local line = read_line()
      if not line then return nil, line == false and "too big inline request" end
      if byte(line) ~= 42 then return syntax.words_in(line) end -- "*"
      count = syntax.length_in(line)
      if not count or count > syntax.MOST_STRINGS then return nil, "invalid multibulk length" end
    end
    local words, bytes = { nil, nil, nil }, 0 -- with room for the usual number
    for i = 1, count do
      local word, message = short_string(at), nil
      if not word then word, message = read_string() end
      if not word then return nil, message end
      words[i] = word
      bytes = bytes + #word
      if bytes > syntax.LARGEST then return nil, "command too large" end
    end
    return words
  end

  -- A usual command, if it is all here, or else any.
  local function read_command()
    local usual = beginnings[sub(data, at, at + 16)] or beginnings[sub(data, at, at + 17)]
    if usual then
      local words, rest = usual.words, at + usual.rest
      words[2] = sub(data, at + usual.first, rest - 3)
      if not usual.whole then
        words[3] = short_string(rest)
        if words[3] then return words end
      elseif rest <= #data + 1 then
        at = rest
        return words
      end
    elseif at > #data then
      if not fill(1) then return nil end
      return read_command()
    end
    return read_words()
  end

  return read_command
end
