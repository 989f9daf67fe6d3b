-- SPDX-License-Identifier: MIT
--
-- Writes the replies of RESP, the protocol of redis_server.lua.

local protocol = {}

protocol.OK = "+OK\r\n"
protocol.NULL = "$-1\r\n"

function protocol.integer(n)
  return ":" .. n .. "\r\n"
end

local HEADS = {} -- of short strings, the usual ones
for size = 0, 99 do HEADS[size] = "$" .. size .. "\r\n" end

function protocol.bulk(text)
  if not text then return protocol.NULL end
  return (HEADS[#text] or "$" .. #text .. "\r\n") .. text .. "\r\n"
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
