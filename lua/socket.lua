-- SPDX-License-Identifier: MIT
--
-- The module `socket`: all of LuaSocket 3.1's API, over the sockets of socket.core. Every blocking
-- call suspends its task only. Written in Lua are the parts that read better in it and need not be
-- fast: helpers, try and protect, connect and bind, serve and relay. Sinks and sources are in
-- lua/lariat/internal/net/filters.lua.

local core = require "socket.core"
local filters = require "lariat.internal.net.filters"
local usage = require "lariat.internal.usage"
local resolver = require "lariat.core".resolver

local socket = {
  _VERSION = "LuaSocket 3.0.0", -- LuaSocket 3.1 has this value, too
  _SOCKETINVALID = -1,
  _SETSIZE = 1024, -- LuaSocket's; select here has no limit
  _DATAGRAMSIZE = 65535,
  _DEBUG = false,
  BLOCKSIZE = 2048,
  tcp = core.tcp, tcp4 = core.tcp4, tcp6 = core.tcp6,
  udp = core.udp, udp4 = core.udp4, udp6 = core.udp6,
  select = core.select,
  gettime = core.gettime,
  sleep = core.sleep, -- suspends the calling task
  skip = core.skip,
  dns = core.dns,
}

--- Which resolver connect, socket.dns and whatever else looks up names use, in all of this program:
--- the system's, or lariat.dns. Returns which it was.
---@param which? "lariat"|"system" default: leave it
---@return "lariat"|"system" before
function socket.dns.use(which)
  local state = resolver.state()
  local before = state[1] and "lariat" or "system"
  if which == "lariat" then
    state[1] = require "lariat.internal.dns.lookup"
  elseif which == "system" then
    state[1] = nil
  elseif which ~= nil then
    usage.argument(1, "use", "'lariat' or 'system' expected, got %s",
      type(which) == "string" and ("'%s'"):format(which) or usage.kind(which))
  end
  return before
end

function socket.__unload()
  return 1
end

-- Exceptions ---------------------------------------------------------------------------------

-- try raises a table with this metatable, which holds the message; only protect unwraps it.
local exception = {}
exception.__index = exception
exception.__tostring = function(self) return tostring(self[1]) end

--- Makes a `try` that calls `finalizer` before it raises.
---@param finalizer? fun()
---@return fun(...): ...
function socket.newtry(finalizer)
  if finalizer ~= nil and not usage.callable(finalizer) then
    usage.type(1, "newtry", "function", finalizer)
  end
  return function(...)
    if ... then return ... end
    if finalizer then finalizer() end
    error(setmetatable({ (select(2, ...)) }, exception), 0)
  end
end

local try = socket.newtry()

--- Returns its arguments, or raises the second if the first is false or nil.
function socket.try(...)
  if (...) == socket then usage.type(1, "try", "value", socket) end
  return try(...)
end

local function unwrap(ok, ...)
  if ok then return ... end
  local err = ...
  if getmetatable(err) == exception then return nil, err[1] end
  error(err, 0)
end

--- Makes a function that returns nil and the value where `f` raised by `try`.
---@param f function
---@return function
function socket.protect(f)
  if f == socket then usage.type(1, "protect", "function", f) end
  return function(...)
    if not usage.callable(f) then usage.error("attempt to call a %s value", type(f)) end
    return unwrap(pcall(f, ...))
  end
end

-- Helpers ------------------------------------------------------------------------------------

-- Raises an error unless argument n is a string or a number, as LuaSocket's C code does.
local function check_string(name, n, ...)
  local value = select(n, ...)
  if type(value) == "string" or type(value) == "number" then return end
  usage.type(n, name, "string", value, n > select("#", ...))
end

local function check_backlog(name, n, backlog)
  if backlog == nil then return end
  local number = tonumber(backlog)
  if not number then usage.type(n, name, "number", backlog) end
  local integer = math.tointeger(number)
  if not integer or integer < -1 << 31 or integer >= 1 << 31 then
    usage.argument(n, name, "backlog expected: an integer, got %s", tostring(backlog))
  end
end

-- If the port is missing, the host may contain it ("localhost:80"): then the error says so.
local function check_port(name, ...)
  local host, port = ...
  local given = type(port) == "string" or type(port) == "number"
  local fault = not given and core.host_fault(host)
  if fault then usage.argument(1, name, "%s", fault) end
  check_string(name, 2, ...)
end

local FAMILIES = { inet = core.tcp4, inet6 = core.tcp6, unspec = core.tcp }

-- The families that getsockname and getpeername return after address and port. connect() takes them
-- in place of local_address, which is never one of these words.
local NAMED_FAMILIES = { inet = true, inet6 = true }

local function unix_path(name, address)
  local path = type(address) == "string" and address:match "^unix:(.*)$"
  if path == "" then usage.argument(1, name, "path expected after 'unix:'") end
  return path
end

-- The path, if `address` is one as a unix socket's getsockname returns it: absolute, or in the
-- abstract namespace. No host name begins with "/" or a zero byte.
local function bare_path(address, port)
  if port ~= nil and type(port) ~= "table" then return nil end
  return type(address) == "string" and address:find "^[/\0]" and address or nil
end

local function connect_unix(path, options)
  local client, message = core.unix_stream()
  if not client then return nil, nil, message end
  client:settimeout(options.timeout)
  return client, client:connect(path)
end

local function connect_inet(address, port, options)
  local client, ok, message
  client, message = FAMILIES[options.family or "unspec"]()
  if not client then return nil, nil, message end
  client:settimeout(options.timeout)
  if options.local_address then
    ok, message = client:bind(options.local_address, options.local_port or 0)
    if not ok then return client, nil, message end
  end
  return client, client:connect(address, port)
end

local CONNECT_OPTIONS = {
  timeout = "seconds", local_address = "string", local_port = "integer", family = "string",
}
local UNIX_OPTIONS = { timeout = "seconds" }

local function check_family(n, family, message)
  if family and not FAMILIES[family] then usage.argument(n, "connect", message, family) end
end

-- The options of connect, from a table or from LuaSocket's positions.
local function connect_options(...)
  local _, _, third, local_port, family = ...
  if type(third) == "table" then
    usage.check_options(3, "connect", third, CONNECT_OPTIONS)
    check_family(3, third.family, "option 'family': inet, inet6 or unspec expected, got '%s'")
    return third
  end
  if type(third) == "number" and local_port == nil then
    usage.argument(3, "connect", "local address or table of options expected, got %s; a timeout is "
      .. "{ timeout = %s }", third, third)
  end
  if third ~= nil then check_string("connect", 3, ...) end
  if local_port ~= nil then check_string("connect", 4, ...) end
  if family ~= nil then check_string("connect", 5, ...) end
  check_family(5, family, "invalid option '%s'")
  if NAMED_FAMILIES[third] and local_port == nil then
    third, family = nil, family or third
  end
  return { local_address = third, local_port = local_port, family = family }
end

local function unix_options(options, ...)
  if options == nil then options = {} end
  usage.check_options(2, "connect", options, UNIX_OPTIONS)
  if ... ~= nil then usage.argument(3, "connect", "a unix socket has no port and no local end") end
  return options
end

--- Connects a new client, to a host and port or to "unix:/path". Takes what getsockname and
--- getpeername return: connect(server:getsockname()).
---@param address string
---@param port? integer|string
---@param local_address? string|{ timeout?: number, local_address?: string, local_port?: integer,
---  family?: string } the local end, or options: `timeout` in seconds is that of connecting alone
---@param local_port? integer
---@param family? "inet"|"inet6"|"unspec"
---@return table? client
---@return string? message
---@overload fun(address: string, options?: table): table?, string?
function socket.connect(...)
  check_string("connect", 1, ...)
  local address, port = ...
  local path = unix_path("connect", address) or bare_path(address, port)
  local options
  if path then
    options = unix_options(select(2, ...))
  else
    check_port("connect", ...)
    options = connect_options(...)
  end
  local client, ok, message
  if path then
    client, ok, message = connect_unix(path, options)
  else
    client, ok, message = connect_inet(address, port, options)
  end
  if not ok then
    if client then client:close() end
    return nil, message
  end
  client:settimeout(nil)
  return client
end

function socket.connect4(address, port, local_address, local_port)
  return socket.connect(address, port, local_address, local_port, "inet")
end

function socket.connect6(address, port, local_address, local_port)
  return socket.connect(address, port, local_address, local_port, "inet6")
end

local function bind_unix(path, backlog)
  local server, message = core.unix_stream()
  if not server then return nil, message end
  local ok
  ok, message = server:bind(path)
  if ok then ok, message = server:listen(backlog) end
  if not ok then server:close() return nil, message end
  return server
end

local function bind_one(info, port, backlog)
  local server, message = (info.family == "inet" and core.tcp4 or core.tcp6)()
  if not server then return nil, message end
  server:setoption("reuseaddr", true)
  local ok
  ok, message = server:bind(info.addr, port)
  if ok then ok, message = server:listen(backlog) end
  if not ok then server:close() return nil, message end
  return server
end

-- As socket.bind; `name` is the function that errors of usage name.
local function bind(name, host, port, backlog)
  check_string(name, 1, host)
  local path = unix_path(name, host)
  if path then
    if port ~= nil then usage.argument(2, name, "a unix socket has no port") end
    return bind_unix(path, backlog)
  end
  check_port(name, host, port)
  if host == "*" then host = "0.0.0.0" end
  local found, message = core.dns.getaddrinfo(host)
  if not found then return nil, message end
  local server
  message = "no info on address"
  for _, info in ipairs(found) do
    server, message = bind_one(info, port, backlog)
    if server then return server end
  end
  return nil, message
end

--- Binds a new server to a host and port ("*" for every IPv4 address) or to "unix:/path".
---@param host string
---@param port? integer|string 0 for any free port
---@param backlog? integer
---@return table? server
---@return string? message
function socket.bind(host, port, backlog)
  check_backlog("bind", 3, backlog)
  return bind("bind", host, port, backlog)
end

--- Makes a function that picks from `choices` by name; what is not a string means "default".
function socket.choose(choices)
  if not usage.is_table(choices) then usage.type(1, "choose", "table", choices) end
  return function(name, option, more)
    if type(name) ~= "string" then
      name, option, more = "default", name, option
    end
    local f = choices[name or "nil"]
    if not f then usage.error("unknown key (%s)", name) end
    return f(option, more)
  end
end

filters.add(socket)

-- Conveniences on the objects ----------------------------------------------------------------

local serve = require "lariat.internal.net.serve"

for _, family in ipairs { "tcp", "unixstream" } do
  core.methods(family .. "{server}").serve = serve.serve
  for state, hint in pairs {
    master = "it does not listen", client = "it is a client, by connect or accept",
  } do
    core.methods(("%s{%s}"):format(family, state)).serve = function()
      usage.error("calling 'serve' on bad self (%s{server} expected): %s", family, hint)
    end
  end
end

local SERVE_OPTIONS = { backlog = "integer", ready = "function" }
for option, kind in pairs(serve.OPTIONS) do SERVE_OPTIONS[option] = kind end

--- Binds, and serves until another task closes the server: see server:serve.
---@param host string
---@param port? integer not with "unix:/path"
---@param handler fun(conn: table)
---@param options? { limit?: integer, timeout?: number, name?: string, backlog?: integer,
---  ready?: fun(server: table) } `ready` is called with the server once it listens
---@return true?
---@return string? message
function socket.serve(host, port, handler, options)
  check_string("serve", 1, host)
  local n = 3 -- which argument the handler is
  if type(port) == "function" then n, port, handler, options = 2, nil, port, handler end
  if options == nil then options = {} end
  serve.check(n, handler, options, SERVE_OPTIONS)
  local server, message = bind("serve", host, port, options.backlog or 128)
  if not server then return nil, message end
  local _ <close> = server -- closes the server however serving ends
  if options.ready then options.ready(server) end
  return serve.run(server, handler, options)
end

local STREAMS = { ["tcp{client}"] = true, ["unixstream{client}"] = true, ["stream"] = true }

local function check_relayed(n, stream)
  if type(stream) ~= "userdata" or not STREAMS[usage.kind(stream)] then
    usage.type(n, "relay", "stream", stream)
  end
end

--- Copies both ways until both ends have ended, passing each end on.
---@param a table stream socket
---@param b table stream socket
---@return integer? from_a bytes moved from a to b
---@return integer|string from_b bytes moved from b to a, or a message
function socket.relay(a, b)
  check_relayed(1, a)
  check_relayed(2, b)
  local moved, failed, failure = {}, false, nil
  -- When the group has ended, for whatever reason, so have both tasks: neither stream is in use.
  local _, why = require "lariat.internal.task.group".group(function(g)
    local function copy(way, from, to)
      local bytes, message = from:pipe(to)
      moved[way] = bytes
      if bytes or failed then return end
      failed, failure = true, message
      g:cancel() -- ends the other task
    end
    g:spawn(copy, 1, a, b)
    g:spawn(copy, 2, b, a)
  end)
  if failed then return nil, failure end
  if not (moved[1] and moved[2]) then return nil, why end
  return moved[1], moved[2]
end

usage.module("socket.dns", socket.dns)
return usage.module("socket", socket)
