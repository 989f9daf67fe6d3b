-- SPDX-License-Identifier: MIT
--
-- Serving: one loop accepts, and one task handles each connection. However a handler ends, its
-- connection is closed; its error is reported and ends no other handler. If accepting fails for a
-- reason that may pass (no descriptors left, a network that is down) it is tried again, after a
-- pause that grows. serve returns when the server is closed and the handlers have finished;
-- cancelling it cancels the handlers.

local core = require "lariat.core"
local usage = require "lariat.internal.usage"

local serve = {}

-- Accepts until the server is closed or cannot accept any more; returns the message that says why.
local function accept(service, server, handler)
  while true do
    local full, message = service:accept(server, handler)
    if not full then return message end
    service:wait()
  end
end

--- Options of serving, for usage.check_options.
serve.OPTIONS = { limit = "number", timeout = "seconds", name = "string" }

--- Checks the handler and the options.
---@param n integer which argument the handler is; the options are the next
---@param handler any
---@param options any
---@param known table<string, string> the known options and their kinds
function serve.check(n, handler, options, known)
  if type(handler) ~= "function" then usage.type(n, "serve", "function", handler) end
  local limit = usage.check_options(n + 1, "serve", options, known).limit
  if limit and (limit ~= limit or limit < 1) then
    local expected = "option 'limit': positive number of connections expected, got %s"
    usage.argument(n + 1, "serve", expected, limit)
  end
end

-- The default name of handlers' tasks: the server's address.
local function address(server)
  local host, port = server:getsockname()
  if not host then return tostring(server) end
  if not port then return "unix:" .. host end
  return (host:find ":" and "[%s]:%d" or "%s:%d"):format(host, port)
end

--- As serve.serve, with arguments that have been checked.
function serve.run(server, handler, options)
  local name = options.name or address(server)
  -- If an error leaves this function, closing the service cancels its handlers.
  local service <close> = core.service(name, options.limit or math.huge, options.timeout)
  server:settimeout(nil) -- accepting has no time limit
  local message = accept(service, server, handler)
  service:finish()
  if message ~= "closed" then return nil, message end
  return true
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
  if not usage.kind(server):find("{server}", 1, true) then
    usage.bad_self("serve", "server", server)
  end
  if options == nil then options = {} end
  serve.check(1, handler, options, serve.OPTIONS)
  return serve.run(server, handler, options)
end

return serve
