-- SPDX-License-Identifier: MIT
--
-- Serving: one loop that accepts, one task a connection. Whatever a handler does, its connection is
-- closed; its error is reported and ends nobody else. Running out of descriptors backs off instead
-- of spinning. serve returns when the server is closed and the handlers have finished; if it is
-- cancelled, so are they.

local core = require "lariat.core"
local sleep = core.task.sleep

local serve = {}

local FIRST_PAUSE, LONGEST_PAUSE = 0.01, 1 -- seconds

-- What accept fails with when the machine, and not the listener, is the matter.
local PASSING = {
  ["Too many open files"] = true,
  ["Too many open files in system"] = true,
  ["Cannot allocate memory"] = true,
  ["No buffer space available"] = true,
  ["Protocol error"] = true,
}

-- Until the server is closed or cannot accept any more: why.
local function accept(service, server, handler)
  local pause, before = FIRST_PAUSE, 0
  while true do
    local full, message = service:accept(server, handler)
    if service:accepted() > before then pause, before = FIRST_PAUSE, service:accepted() end
    if full then
      service:wait()
    elseif PASSING[message] then
      sleep(pause)
      pause = math.min(pause * 2, LONGEST_PAUSE)
    else
      return message
    end
  end
end

local OPTIONS = { limit = true, timeout = true, name = true, backlog = true, ready = true }

local function check_options(options)
  for name in pairs(options) do
    if not OPTIONS[name] then error(("bad option '%s' of serve (unknown)"):format(name), 3) end
  end
  local limit = options.limit or math.huge
  if type(limit) ~= "number" or limit < 1 then
    error("bad option 'limit' (positive number of connections expected)", 3)
  end
  if options.timeout ~= nil and type(options.timeout) ~= "number" then
    error("bad option 'timeout' (seconds expected)", 3)
  end
  return limit
end

--- Accepts connections and runs `handler(conn)` for each in a task of its own, until another task
--- closes the server; then waits for the handlers to finish.
---@param server table
---@param handler fun(conn: table) closes nothing: the connection is closed when it returns
---@param options? { limit?: integer, timeout?: number, name?: string } at most `limit` connections
---  at once; `timeout` seconds set on each
---@return true? # nil and a message if accepting failed
---@return string? message
function serve.serve(server, handler, options)
  if type(handler) ~= "function" then
    error("bad argument #1 to 'serve' (function expected, got " .. type(handler) .. ")", 2)
  end
  options = options or {}
  local limit = check_options(options)
  local name = options.name or tostring(server)
  local service <close> = core.service(name, limit, options.timeout) -- left early, it cancels them
  server:settimeout(nil) -- it waits as long as it takes, not in turns
  local message = accept(service, server, handler)
  service:finish()
  if message ~= "closed" then return nil, message end
  return true
end

return serve
