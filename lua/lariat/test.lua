-- SPDX-License-Identifier: MIT
--
-- The module `lariat.test`: helpers for specs of network code. Everything made here is closed at
-- the end of the test that made it, or of the block if a setup made it.
--
--   local test = require "lariat.test"
--   it("echoes", function()
--     local conn = test.serve(echo):connect()
--     conn:send "hi\n"
--     assert.equal("hi", conn:receive())
--   end)

local socket = require "socket"
local usage = require "lariat.internal.usage"
local task = require "lariat.task"
local unix = require "socket.unix"
local leaks = require "lariat.internal.test.leaks"

local test = {}

local LOOPBACK = { inet = "127.0.0.1", inet6 = "::1" }
local DEFAULT_WAIT = 5 * (tonumber(os.getenv "SCALE") or 1) -- seconds
local LONGEST_PAUSE = 0.02

local function closed_at_end(object)
  leaks.at_end(function() object:close() end)
  return object
end

local function check_family(n, name, family)
  if family == nil then family = "inet" end
  if not LOOPBACK[family] and family ~= "unix" then
    usage.argument(n, name, "'inet', 'inet6' or 'unix' expected, got %s",
      type(family) == "string" and "'" .. family .. "'" or usage.kind(family))
  end
  return family
end

-- A path that no other process uses; in Linux's abstract namespace, so that no file is left.
local names = 0
local function abstract_path()
  names = names + 1
  return ("\0lariat-test-%p-%d-%d"):format(test, names, math.random(1 << 40))
end

local function listen(family)
  if family == "unix" then
    local server, path = assert(unix()), abstract_path()
    assert(server:bind(path))
    assert(server:listen(128))
    return server, path
  end
  local server = assert(socket.bind(LOOPBACK[family], 0, 128))
  return server, LOOPBACK[family], select(2, server:getsockname())
end

local function connect(host, port)
  local client = port and socket.tcp() or unix()
  assert(client:connect(host, port))
  return closed_at_end(client)
end

--- Two connected sockets.
---@param family? "inet"|"inet6"|"unix"
---@return table client the connecting end
---@return table accepted
function test.pair(family)
  local listener <close>, host, port = listen(check_family(1, "pair", family))
  local client = connect(host, port)
  return client, closed_at_end(assert(listener:accept()))
end

---@class lariat.TestServer
---@field host string
---@field port? integer nil for "unix"
---@field server table the listening socket
local server = {}
server.__index = server

--- A new connection to the server.
---@return table
function server:connect()
  return connect(self.host, self.port)
end

--- Ends the server and its handlers. Called at the test's end.
function server:close()
  self.server:close()
  self.task:cancel()
  self.task:join()
end

server.__close = server.close

local SERVE_OPTIONS = {
  limit = "number", timeout = "seconds", name = "string", family = "string",
}

--- Runs handler(conn) for each connection to a port of its own. An error in it fails the test.
---@param handler fun(conn: table)
---@param options? table as for server:serve, and `family`
---@return lariat.TestServer
function test.serve(handler, options)
  if type(handler) ~= "function" then usage.type(1, "serve", "function", handler) end
  if options == nil then options = {} end
  usage.check_options(2, "serve", options, SERVE_OPTIONS)
  local serving = {}
  for name, value in pairs(options) do serving[name] = value end
  serving.family = nil
  local listener, host, port = listen(check_family(2, "serve", options.family))
  local self = setmetatable({ host = host, port = port, server = listener }, server)
  self.task = task.spawn({ name = "test server" }, listener.serve, listener, handler, serving)
  return closed_at_end(self)
end

--- Calls f until it returns a true value; other tasks run between the calls. An error in f counts
--- as false; when the time is up the last one is raised.
---@param f fun(): any
---@param seconds? number default 5
---@return any # what f returned
function test.eventually(f, seconds)
  if not usage.callable(f) then usage.type(1, "eventually", "function", f) end
  usage.check_seconds(2, "eventually", seconds)
  local till, pause = task.now() + (seconds or DEFAULT_WAIT), 0
  while true do
    local ok, result = pcall(f)
    if ok and result then return result end
    if not ok and result == task.cancelled then error(result, 0) end
    if task.now() >= till then
      if not ok then error(result, 0) end
      error("eventually: it has not come true", 2)
    end
    task.sleep(pause)
    pause = math.min(pause + 0.001, LONGEST_PAUSE)
  end
end

return usage.module("lariat.test", test)
