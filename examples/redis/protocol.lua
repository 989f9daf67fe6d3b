-- SPDX-License-Identifier: MIT
--
-- RESP, the protocol of redis_server.lua. A command is an array of strings,
--   "*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n"
-- or a line typed by hand, "ECHO hi". This module reads commands and writes replies.

local protocol = {}

local LONGEST_STRING = 16 * 1024 * 1024
local MOST_STRINGS = 1024 * 1024 -- in one command
local LARGEST = 64 * 1024 * 1024 -- bytes of one command

-- The number in a line such as "*3" or "$5", or nil.
local function length_in(line)
  return line:find "^.%-?%d+$" and math.tointeger(line:sub(2))
end

-- One string of the array: its length on a line, its bytes, CR LF. On failure nil, and what to tell
-- the client if there is something to tell.
local function read_string(conn)
  local line, message = conn:receive "*l"
  if not line then return nil, message == "too long" and "too big bulk count string" end
  if line:byte() ~= 36 then -- "$"
    return nil, ("expected '$', got '%s'"):format(line:sub(1, 1):gsub("%c", "?"))
  end
  local size = length_in(line)
  if not size or size < 0 or size > LONGEST_STRING then return nil, "invalid bulk length" end
  local text = conn:receive(size)
  if not text or not conn:receive(2) then return nil end -- the client is gone
  return text
end

-- The rest of an array whose first line has been read.
local function read_array(conn, line)
  local count = length_in(line)
  if not count or count > MOST_STRINGS then return nil, "invalid multibulk length" end
  local words, bytes = {}, 0
  for i = 1, count do
    local word, message = read_string(conn)
    if not word then return nil, message end
    words[i] = word
    bytes = bytes + #word
    if bytes > LARGEST then return nil, "command too large" end
  end
  return words
end

--- Reads a command: a list of words (maybe empty), or nil and what to tell the client, if anything.
function protocol.read_command(conn)
  local line, message = conn:receive "*l"
  if not line then return nil, message == "too long" and "too big inline request" end
  if line:byte() == 42 then return read_array(conn, line) end -- "*"
  local words = {}
  for word in line:gmatch "%S+" do words[#words + 1] = word end
  return words
end

protocol.OK = "+OK\r\n"
protocol.NULL = "$-1\r\n"

function protocol.integer(n)
  return ":" .. n .. "\r\n"
end

function protocol.bulk(text)
  return text and "$" .. #text .. "\r\n" .. text .. "\r\n" or protocol.NULL
end

--- An array of `count` strings, which list[i] may lack.
function protocol.array(list, count)
  local parts = { "*" .. (count or #list) .. "\r\n" }
  for i = 1, count or #list do parts[i + 1] = protocol.bulk(list[i]) end
  return table.concat(parts)
end

--- An error; what the client has sent may be in it, but no line end.
function protocol.error(message)
  return "-ERR " .. message:gsub("%c", "?") .. "\r\n"
end

return protocol
