-- SPDX-License-Identifier: MIT
--
-- The module `ngx`: as much of nginx's Lua API as client libraries written for its cosockets need.
-- They expect a global: `ngx = require "ngx"`, or `lariat -l ngx script.lua`.
--
-- A cosocket is an object around a socket of `socket`, because it outlives its connection: after
-- close or setkeepalive the same object connects again. Timeouts are milliseconds. Idle connections
-- of a pool are closed when the pool is next used after their time, not by a timer.

local socket = require "socket"

local ngx = {
  null = setmetatable({}, { __tostring = function() return "null" end }),
  sleep = socket.sleep, now = socket.gettime, time = os.time,
  socket = {},
}

function ngx.escape_uri(text)
  return (tostring(text):gsub("[^%w%-._~!'()*]", function(c)
    return ("%%%02X"):format(c:byte())
  end))
end

function ngx.unescape_uri(text)
  return (tostring(text):gsub("+", " "):gsub("%%(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end))
end

local DEFAULT_MS, POOL_SIZE = 60000, 30 -- nginx's

local pools = {} -- name -> list of { conn =, reused =, due = }, the longest idle first

-- Closes what has been idle for too long; the list that is left.
local function sweep(name)
  local now, kept = socket.gettime(), {}
  for _, idle in ipairs(pools[name] or {}) do
    if idle.due > now then kept[#kept + 1] = idle else idle.conn:close() end
  end
  pools[name] = kept
  return kept
end

-- An idle connection that the peer has neither closed nor written to.
local function take(name)
  local idle = sweep(name)
  while #idle > 0 do
    local last = table.remove(idle)
    if #socket.select({ last.conn }, nil, 0) == 0 then return last end
    last.conn:close()
  end
end

-- TCP ------------------------------------------------------------------------------------------

local tcp = {}
tcp.__index = tcp

function ngx.socket.tcp()
  local self = setmetatable({ reused = 0 }, tcp)
  self:settimeout(DEFAULT_MS)
  return self
end

function tcp:settimeouts(connect_ms, send_ms, read_ms)
  self.connect_ms = connect_ms or self.connect_ms
  self.send_ms = send_ms or self.send_ms
  self.read_ms = read_ms or self.read_ms
end

function tcp:settimeout(ms)
  self:settimeouts(ms, ms, ms)
end

--- connect(host, port [, { pool = name }]) or connect("unix:/path" [, options])
function tcp:connect(host, port, options)
  if self.conn then self:close() end
  local path = host:match "^unix:(.*)$"
  if path then options = port end
  self.pool = options and options.pool or path and host or host .. ":" .. port
  local idle = take(self.pool)
  if idle then
    self.conn, self.reused = idle.conn, idle.reused + 1
    return 1
  end
  local conn = path and require "socket.unix".stream() or socket.tcp()
  conn:settimeout(self.connect_ms / 1000)
  local ok, message = conn:connect(path or host, not path and port or nil)
  if not ok then
    conn:close()
    return nil, message
  end
  self.conn, self.reused = conn, 0
  return 1
end

-- Calls a method of the connection, with a timeout.
local function call(self, ms, name, ...)
  if not self.conn then return nil, "closed" end
  self.conn:settimeout(ms / 1000)
  return self.conn[name](self.conn, ...)
end

function tcp:send(data)
  local sent, message = call(self, self.send_ms, "send", data)
  return sent, message
end

function tcp:receive(pattern)
  return call(self, self.read_ms, "receive", pattern)
end

function tcp:receiveany(max)
  return call(self, self.read_ms, "receiveany", max)
end

--- Gives a reader of what comes before the delimiter: whole, never in pieces as nginx's can.
function tcp:receiveuntil(delimiter, options)
  return function() return call(self, self.read_ms, "receiveuntil", delimiter, options) end
end

function tcp:getreusedtimes()
  if not self.conn then return nil, "closed" end
  return self.reused
end

function tcp:close()
  if not self.conn then return nil, "closed" end
  self.conn:close()
  self.conn = nil
  return 1
end

--- Gives the connection to its pool, for `ms` (0: for ever), among at most `size` idle ones.
function tcp:setkeepalive(ms, size)
  if not self.conn then return nil, "closed" end
  if #socket.select({ self.conn }, nil, 0) > 0 then
    self:close()
    return nil, "connection in dubious state"
  end
  local idle = sweep(self.pool)
  ms = ms or DEFAULT_MS
  local due = ms == 0 and math.huge or socket.gettime() + ms / 1000
  idle[#idle + 1] = { conn = self.conn, reused = self.reused, due = due }
  if #idle > (size or POOL_SIZE) then table.remove(idle, 1).conn:close() end
  self.conn = nil
  return 1
end

return ngx
