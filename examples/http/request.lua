-- SPDX-License-Identifier: MIT
--
-- Reads an HTTP request for http_server.lua, and trusts nothing: every length is limited.

local LONGEST_LINE = 8192
local MOST_FIELDS = 100
local LARGEST_HEAD = 64 * 1024
local HEAD_TIMEOUT = 60 -- seconds from the first line to the last, however slowly bytes drip in

local socket = require "socket"

-- What a failed receive means: a status to answer with, or nil if nobody is there to hear it.
local function status_of(message)
  return message == "too long" and 431 or message == "timeout" and 408 or nil
end

-- Reads header fields into a table by lower-case name. Fields that came twice are joined, as the
-- standard says; nil and a status if something is wrong.
local function read_fields(conn)
  local fields, size, deadline = {}, 0, socket.gettime() + HEAD_TIMEOUT
  for _ = 1, MOST_FIELDS + 1 do
    local line, message = conn:receive()
    if not line then return nil, status_of(message) end
    if line == "" then return fields end
    size = size + #line
    if size > LARGEST_HEAD then return nil, 431 end
    if socket.gettime() > deadline then return nil, 408 end
    -- No space may stand between name and colon, and no line may continue another: both have been
    -- used to make a proxy and a server see different requests.
    local name, value = line:match "^([%w!#$%%&'*+.^_`|~-]+):[ \t]*(.-)[ \t]*$"
    if not name or value:find "[%z\1-\8\10-\31\127]" then return nil, 400 end
    name = name:lower()
    if fields[name] and (name == "host" or name == "content-length") then return nil, 400 end
    fields[name] = fields[name] and fields[name] .. ", " .. value or value
  end
  return nil, 431
end

-- The path in a request's target, decoded and without "." and empty segments: a list of segments,
-- or nil where it is malformed or would leave the root.
local function parse_target(target)
  local path = target:gsub("^[hH][tT][tT][pP]s?://[^/?#]*", ""):gsub("[?#].*$", "")
  if path == "" then path = "/" end
  if path:sub(1, 1) ~= "/" or path:gsub("%%%x%x", ""):find("%", 1, true) then return nil end
  local segments = { directory = path:find "/%.?$" ~= nil }
  for segment in path:gmatch "[^/]+" do
    segment = segment:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end)
    if segment == ".." or segment:find "[%c/\\]" then return nil end
    if segment ~= "." then segments[#segments + 1] = segment end
  end
  return segments
end

--- Reads the next request.
---@return table? request { method, path = list of segments, fields, keep = keep the connection }
---@return integer? status to answer a bad request with
return function(conn)
  conn:setoption("maxreceive", LONGEST_LINE)
  local line, message = conn:receive()
  if line == "" then line, message = conn:receive() end -- some clients end a body with a line end
  if not line then
    -- A connection that has been silent since the last request is closed without a word.
    return nil, message == "too long" and 431 or nil
  end
  local method, target, major, minor = line:match "^([%w!#$%%&'*+.^_`|~-]+) (%S+) HTTP/(%d)%.(%d)$"
  if not method then return nil, 400 end
  if major ~= "1" then return nil, 505 end
  local fields, status = read_fields(conn)
  if not fields then return nil, status end
  local path = parse_target(target)
  if not path or minor ~= "0" and not fields.host then return nil, 400 end
  local connection = (fields.connection or ""):lower()
  local keep = minor ~= "0" and not connection:find "close"
    or minor == "0" and connection:find "keep%-alive" ~= nil
  -- We take no bodies. What follows such a request cannot be told from its body, so it is the last.
  local body = fields["transfer-encoding"] or (fields["content-length"] or "0") ~= "0"
  return { method = method, path = path, fields = fields, keep = keep and not body }
end
