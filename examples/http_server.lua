-- SPDX-License-Identifier: MIT
--
-- An HTTP/1.1 server for static files: keep-alive, HEAD, Range, If-Modified-Since, index.html.
--
--   lariat http_server.lua [DIRECTORY [HOST [PORT]]]     (default . 127.0.0.1 8080; port 0: any)
--
-- Requests are read in http/request.lua, files are found in http/files.lua.

local socket = require "socket"
package.path = arg[0]:gsub("[^/]*$", "") .. "?.lua;" .. package.path -- modules beside this script
local files = require "http.files"
local read_request = require "http.request"

local LIMIT = 2000       -- connections at once
local TIMEOUT = 30       -- seconds for a client to send the next line, or to take the next piece
local REQUESTS = 10000   -- on one connection
local PIECE = 256 * 1024 -- bytes of a file in memory at once
local REASONS = {
  [200] = "OK", [206] = "Partial Content", [301] = "Moved Permanently", [304] = "Not Modified",
  [400] = "Bad Request", [404] = "Not Found", [405] = "Method Not Allowed",
  [408] = "Request Timeout", [416] = "Range Not Satisfiable",
  [431] = "Request Header Fields Too Large", [505] = "HTTP Version Not Supported",
}

local root, host, port = arg[1] or ".", arg[2] or "127.0.0.1", math.tointeger(arg[3] or 8080)
if not io.open(root .. "/.") or not port or port < 0 or port > 65535 or arg[4] then
  io.stderr:write "usage: lariat http_server.lua [EXISTING DIRECTORY [HOST [PORT]]]\n"
  os.exit(2)
end

local function head(status, fields, keep)
  local lines = {
    ("HTTP/1.1 %d %s"):format(status, REASONS[status]),
    "Date: " .. files.http_date(os.time()),
    "Connection: " .. (keep and "keep-alive" or "close"),
  }
  for _, field in ipairs(fields) do lines[#lines + 1] = field end
  return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

-- An answer that says no more than its status.
local function send_status(conn, request, status, ...)
  local text = ("%d %s\n"):format(status, REASONS[status])
  local fields = { "Content-Type: text/plain", "Content-Length: " .. #text, ... }
  local body = request.method ~= "HEAD" and text or ""
  return conn:send(head(status, fields, request.keep) .. body)
end

-- The first and last byte asked for by "Range: bytes=...", or nil for all of it (also where the
-- field makes no sense), or false if no such bytes exist. Several ranges are answered with all.
local function range_of(request, file)
  local since = request.fields["if-range"]
  if since and since ~= file.date then return nil end
  local from, to = (request.fields.range or ""):match "^bytes=(%d*)%-(%d*)$"
  from, to = math.tointeger(from), math.tointeger(to)
  if not from and not to or from and to and to < from then return nil end
  if not from then from, to = math.max(0, file.size - to), file.size - 1 end -- the last `to`
  if from >= file.size then return false end
  return from, math.min(to or file.size - 1, file.size - 1)
end

local function send_bytes(conn, handle, from, count)
  handle:seek("set", from)
  while count > 0 do
    local piece = handle:read(math.min(PIECE, count))
    -- The head has promised `count` bytes: if the file has shrunk, only hanging up is honest.
    if not piece or not conn:send(piece) then return nil end
    count = count - #piece
  end
  return true
end

local function send_file(conn, request, file)
  local fields = { "Last-Modified: " .. file.date, "Accept-Ranges: bytes",
                   "Content-Type: " .. file.type }
  -- Clients send back the date they were given, so there is no need to understand dates.
  if request.fields["if-modified-since"] == file.date then
    return conn:send(head(304, fields, request.keep))
  end
  local from, to = range_of(request, file)
  if from == false then
    return send_status(conn, request, 416, "Content-Range: bytes */" .. file.size)
  end
  local status = from and 206 or 200
  if from then fields[4] = ("Content-Range: bytes %d-%d/%d"):format(from, to, file.size) end
  from, to = from or 0, to or file.size - 1
  table.insert(fields, "Content-Length: " .. to - from + 1)
  local ok = conn:send(head(status, fields, request.keep))
  if not ok or request.method == "HEAD" then return ok end
  return send_bytes(conn, file.handle, from, to - from + 1)
end

local function answer(conn, request)
  if request.method ~= "GET" and request.method ~= "HEAD" then
    return send_status(conn, request, 405, "Allow: GET, HEAD")
  end
  local file <close>, status, location = files.open(root, request.path)
  if file then return send_file(conn, request, file) end
  return send_status(conn, request, status, location and "Location: " .. location)
end

local server, message = socket.bind(host, port, 511)
if not server then
  io.stderr:write("http_server: ", message, "\n")
  os.exit(1)
end
print(("listening on %s %d"):format(server:getsockname()))
io.flush()
assert(server:serve(function(conn)
  conn:settimeout(TIMEOUT, "t") -- for each call as a whole, however slowly bytes drip
  for i = 1, REQUESTS do
    local request, status = read_request(conn)
    if not request then
      if status then send_status(conn, { keep = false }, status) end
      return
    end
    request.keep = request.keep and i < REQUESTS
    if not answer(conn, request) or not request.keep then return end
  end
end, { limit = LIMIT }))
