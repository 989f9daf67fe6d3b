-- SPDX-License-Identifier: MIT
--
-- Finds files for http_server.lua. Files are read with Lua's io, which waits for the disk and holds
-- up every task meanwhile: fine for what the page cache holds, not for a slow network drive.

local lariat = require "lariat"
local task = require "lariat.task"

local FRESH = 1           -- seconds for which a date is believed
local MOST_REMEMBERED = 1000

local files = {}

local TYPES = {
  html = "text/html; charset=utf-8", htm = "text/html; charset=utf-8",
  txt = "text/plain; charset=utf-8", md = "text/plain; charset=utf-8",
  lua = "text/plain; charset=utf-8", css = "text/css; charset=utf-8",
  js = "text/javascript; charset=utf-8", json = "application/json", xml = "application/xml",
  png = "image/png", jpg = "image/jpeg", jpeg = "image/jpeg", gif = "image/gif",
  svg = "image/svg+xml", webp = "image/webp", ico = "image/x-icon", pdf = "application/pdf",
  wasm = "application/wasm", woff2 = "font/woff2", mp4 = "video/mp4", zip = "application/zip",
}

-- os.date would use the locale's names of days and months.
local DAYS = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" }
local MONTHS = {
  "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
}

function files.http_date(time)
  local d = os.date("!*t", time)
  return ("%s, %02d %s %d %02d:%02d:%02d GMT"):format(
    DAYS[d.wday], d.day, MONTHS[d.month], d.year, d.hour, d.min, d.sec)
end

-- Lua cannot ask when a file was modified; the program stat can. Only this task waits for it.
local dates, remembered = {}, 0 -- path -> { date, when asked }

local function modified(path)
  local known = dates[path]
  if known and task.now() - known[2] < FRESH then return known[1] end
  local child <close> = lariat.run { "stat", "-L", "-c", "%Y", "--", path }
  local time = child and math.tointeger(child.stdout:receive "*l")
  local date = files.http_date(time or os.time()) -- if nobody knows: just now
  if not known then
    if remembered >= MOST_REMEMBERED then dates, remembered = {}, 0 end
    remembered = remembered + 1
  end
  dates[path] = { date, task.now() }
  return date
end

local File = {}
File.__index = File
File.__close = function(self) self.handle:close() end

-- nil if there is no such file, false if it is a directory.
local function open(path)
  local handle = io.open(path, "rb")
  if not handle then return nil end
  local _, _, code = handle:read(0)
  if code then -- EISDIR
    handle:close()
    return false
  end
  local extension = path:match "%.(%w+)$"
  local file = setmetatable({ handle = handle, size = handle:seek "end" }, File)
  file.type = TYPES[extension and extension:lower()] or "application/octet-stream"
  return file
end

local function encode(segment)
  return (segment:gsub("[^%w._~-]", function(c) return ("%%%02X"):format(c:byte()) end))
end

--- Opens a file below `root`. Symbolic links are followed: whoever owns the files made them.
---@param root string
---@param segments string[] as http/request.lua makes them
---@return table? file { handle, size, date, type }, a `<close>` variable
---@return integer? status
---@return string? location for a status of 301
function files.open(root, segments)
  for _, segment in ipairs(segments) do
    if segment:sub(1, 1) == "." then return nil, 404 end -- .git, .htpasswd and their like
  end
  local path = root .. "/" .. table.concat(segments, "/")
  local file = open(segments.directory and path .. "/index.html" or path)
  if file == false and not segments.directory then
    local encoded = {}
    for i, segment in ipairs(segments) do encoded[i] = encode(segment) end
    return nil, 301, "/" .. table.concat(encoded, "/") .. "/"
  end
  if not file then return nil, 404 end
  file.date = modified(segments.directory and path .. "/index.html" or path)
  return file
end

return files
