-- SPDX-License-Identifier: MIT
--
-- Serving: one loop that accepts, one task a connection. Whatever a handler does, its connection is
-- closed; its error is reported and ends nobody else. Running out of descriptors backs off instead
-- of spinning. serve returns when the server is closed and the handlers have finished; if it is
-- cancelled, so are they.

local core = require "lariat.core"
local task, start = core.task, core.handler.start

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

-- Called with each connection when its handler has ended; `err` and `traceback` if it has failed.
local function when_ended(state)
  return function(conn, err, traceback)
    conn:close()
    state.active = state.active - 1
    if state.awaited then state.gate:wake() end
    if traceback then task.report(err, "error in handler of " .. state.name, traceback) end
  end
end

local function wait_below(state, count)
  while state.active > count do
    state.awaited = true
    state.gate:wait()
  end
end

local function accept_loop(server, state, handler, ended, timeout)
  local pause = FIRST_PAUSE
  while true do
    if state.active >= state.limit then wait_below(state, state.limit - 1) end
    local conn, message = server:accept()
    if conn then
      pause = FIRST_PAUSE
      if timeout then conn:settimeout(timeout) end
      state.active = state.active + 1
      start(state.name, ended, handler, conn)
    elseif message == "closed" then
      return true
    elseif PASSING[message] then
      task.sleep(pause)
      pause = math.min(pause * 2, LONGEST_PAUSE)
    else
      return nil, message
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
  local state = {
    limit = limit, active = 0, gate = task.gate(), name = options.name or tostring(server),
  }
  local ended = when_ended(state)
  local _ <close> = setmetatable({}, { __close = function() core.handler.cancel(ended) end })
  server:settimeout(nil) -- it waits as long as it takes, not in turns
  local ok, message = accept_loop(server, state, handler, ended, options.timeout)
  wait_below(state, 0)
  if not ok then return nil, message end
  return true
end

return serve
