-- SPDX-License-Identifier: MIT
--
-- Serving: one loop that accepts, one task a connection. Whatever a handler does, its connection is
-- closed; its error is reported and ends nobody else. Running out of descriptors backs off instead
-- of spinning. serve returns when the server is closed and the handlers have finished; if it is
-- cancelled, so are they.

local task = require "lariat.core".task

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

local function with_traceback(err)
  if err == task.cancelled then return err end
  return { err = err, traceback = debug.traceback(tostring(err), 2) }
end

-- One connection's task.
local function handle(state, conn, handler)
  local ok, failure = xpcall(handler, with_traceback, conn)
  conn:close()
  state.handlers[conn] = nil
  state.active = state.active - 1
  state.gate:wake()
  if ok then return end
  if failure == task.cancelled then error(failure, 0) end
  task.report(failure.err, "error in handler of " .. state.name, failure.traceback)
end

local function wait_below(state, count)
  while state.active > count do state.gate:wait() end
end

local function cancel_all(state)
  for _, handler in pairs(state.handlers) do handler:cancel() end
end

local function accept_loop(server, state, handler, timeout)
  local pause = FIRST_PAUSE
  while true do
    wait_below(state, state.limit - 1)
    local conn, message = server:accept()
    if conn then
      pause = FIRST_PAUSE
      if timeout then conn:settimeout(timeout) end
      state.active = state.active + 1
      state.handlers[conn] = task.spawn_named(state.name, true, handle, state, conn, handler)
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
    limit = limit, active = 0, handlers = {}, gate = task.gate(),
    name = options.name or tostring(server),
  }
  local _ <close> = setmetatable({}, { __close = function() cancel_all(state) end })
  server:settimeout(nil) -- it waits as long as it takes, not in turns
  local ok, message = accept_loop(server, state, handler, options.timeout)
  wait_below(state, 0)
  if not ok then return nil, message end
  return true
end

return serve
