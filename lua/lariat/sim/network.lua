-- SPDX-License-Identifier: MIT
--
-- The network as the body of a run sees it: hosts, clients, and what happens between them. Everything
-- takes a host by its name or as the object that net:host gave.

local core = require "lariat.core".sim
local program = require "lariat.sim.program"

local WORLD = 0

-- Hosts -------------------------------------------------------------------------------------------

---@class lariat.sim.Host
---@field name string
---@field address string IPv4
---@field address6 string IPv6
local host = {}
host.__index = host
host.__name = "host"

function host:__tostring()
  return ("host: %s (%s)"):format(self.name, self.address)
end

--- All that its script has written to standard output so far.
---@return string
function host:output()
  return core.output(self.id, 1)
end

--- All that it has written to standard error.
---@return string
function host:errors()
  return core.output(self.id, 2)
end

--- Does any of its tasks still run?
---@return boolean
function host:running()
  local _, tasks = core.state(self.id)
  return tasks > 0
end

--- Waits until its program has ended, or crashed.
function host:wait()
  return core.ended(self.id)
end

--- Ends its program at once: no `<close>` variable runs, no packet tells of it, and until it is
--- started again nobody answers.
function host:crash()
  return core.crash(self.id)
end

--- Starts its program anew; what runs of it crashes before.
function host:restart()
  if self.id == WORLD then error("the world cannot be started again", 2) end
  core.crash(self.id)
  self:start()
end

function host:start()
  self.own_onerror = nil
  local main = program.main(self, self.what, self.seed)
  core.start(self.id, self.name, main, table.unpack(self.arguments, 1, self.arguments.n))
end

-- The network -------------------------------------------------------------------------------------

---@class lariat.sim.Network
local network = {}
network.__index = network
network.__name = "network"

local function new(options)
  return setmetatable({
    hosts = {}, clients = {}, seed = options.seed or 1, echo = options.echo ~= false,
  }, network)
end

local function describe(self, id, name)
  local object = setmetatable({
    id = id, name = name, address = core.address(id), address6 = core.address(id, true),
  }, host)
  self.hosts[name] = object
  self.hosts[id] = object
  return object
end

-- The text of a name, or a host, or nil.
local function find(self, who)
  if getmetatable(who) == host then return who end
  return type(who) == "string" and self.hosts[who] or nil
end

local function check(self, who, position, method)
  local found = find(self, who)
  if found then return found end
  error(("bad argument #%d to '%s' (there is no host '%s')"):format(position, method,
    tostring(who)), 3)
end

local function add(self, method, name, what, ...)
  local settings = type(name) == "table" and name or { name = name }
  if type(settings.name) ~= "string" then
    error(("bad argument #1 to '%s' (name expected)"):format(method), 3)
  end
  if type(what) ~= "string" and type(what) ~= "function" then
    error(("bad argument #2 to '%s' (script or function expected, got %s)"):format(method,
      type(what)), 3)
  end
  local object = describe(self, core.machine(settings.name), settings.name)
  object.what, object.arguments, object.seed = what, table.pack(...), self.seed
  local echo = settings.echo
  if echo == nil then echo = self.echo end
  core.echo(object.id, echo)
  if settings.stdin then core.input(object.id, settings.stdin) end
  object:start()
  return object
end

--- Adds a host: a program that nobody waits for, and that may be started again. A script gets
--- globals, modules and standard streams of its own; a function shares those of its maker.
---@param name string|{name: string, stdin: string?, echo: boolean?}
---@param what string|function path of a script, or a function
---@param ... any its arguments
---@return lariat.sim.Host
function network:host(name, what, ...)
  return add(self, "host", name, what, ...)
end

--- Adds a host that the run waits for.
---@param name string|{name: string, stdin: string?, echo: boolean?}
---@param what string|function
---@param ... any
---@return lariat.sim.Host
function network:client(name, what, ...)
  local object = add(self, "client", name, what, ...)
  table.insert(self.clients, object)
  return object
end

--- See host:crash.
function network:crash(who) return check(self, who, 1, "crash"):crash() end

--- See host:restart.
function network:restart(who) return check(self, who, 1, "restart"):restart() end

-- Links -------------------------------------------------------------------------------------------

-- A host, a list of them, or everybody else.
local function group(self, who, position, method)
  if type(who) ~= "table" or getmetatable(who) == host then
    return { check(self, who, position, method) }
  end
  local list = {}
  for i, one in ipairs(who) do
    list[i] = find(self, one) or error(("bad argument #%d to '%s' (there is no host '%s')"):format(
      position, method, tostring(one)), 3)
  end
  return list
end

local function others(self, list)
  local inside, rest = {}, {}
  for _, one in ipairs(list) do inside[one] = true end
  for id = WORLD, #self.hosts do
    if not inside[self.hosts[id]] then rest[#rest + 1] = self.hosts[id] end
  end
  return rest
end

local function set_links(self, method, state, a, b)
  local left = group(self, a, 1, method)
  local right = b == nil and others(self, left) or group(self, b, 2, method)
  for _, one in ipairs(left) do
    for _, other in ipairs(right) do
      if one ~= other then
        core.link(one.id, other.id, state)
        core.link(other.id, one.id, state)
      end
    end
  end
end

--- Loses every packet between a and b, from now on. Each is a host or a list of hosts; without b,
--- a is cut off from everybody else there is.
function network:partition(a, b) set_links(self, "partition", "partitioned", a, b) end

--- Holds every packet between a and b back, until heal delivers them.
function network:hold(a, b) set_links(self, "hold", "held", a, b) end

--- Ends partitions and holds: between a and b, of a, or all.
function network:heal(a, b)
  if a ~= nil then return set_links(self, "heal", "open", a, b) end
  for id = WORLD, #self.hosts do set_links(self, "heal", "open", self.hosts[id]) end
end

--- From now on f(packet) is asked about every packet between two hosts, and must not wait. It returns
--- nil or "deliver" for the usual fate, "drop", "delay" and seconds (or just seconds), "duplicate"
--- (a datagram), or "reset" (a stream). nil in place of f: nobody is asked.
---@param f? fun(packet: table): string|number|nil, number?
function network:rule(f)
  if f ~= nil and type(f) ~= "function" then
    error(("bad argument #1 to 'rule' (function expected, got %s)"):format(type(f)), 2)
  end
  core.rule(f)
end

-- Time and trace ----------------------------------------------------------------------------------

--- Seconds since the run began.
---@return number
function network:time() return core.time() end

--- Calls f() on the world, as a task of its own, so many seconds after the beginning.
---@param seconds number
---@param f function
function network:at(seconds, f)
  if type(seconds) ~= "number" or not (seconds >= 0) then
    error("bad argument #1 to 'at' (seconds since the run began expected)", 2)
  end
  if type(f) ~= "function" then
    error(("bad argument #2 to 'at' (function expected, got %s)"):format(type(f)), 2)
  end
  local task = require "lariat.core".task
  core.start(WORLD, "at", function()
    task.sleep(math.max(0, seconds - core.time()))
    return f()
  end)
end

--- The packets so far.
---@return table[]
function network:trace()
  return core.trace.list(core.trace.present())
end

-- For lariat.sim ----------------------------------------------------------------------------------

function network:onerror_of(id)
  return self.hosts[id] and self.hosts[id].own_onerror
end

-- The world's main task: the body, and then the clients' ends.
function network:supervise(body)
  describe(self, WORLD, "world")
  body(self)
  local waited
  repeat
    waited = false
    for _, client in ipairs(self.clients) do
      if client:running() then
        waited = true
        client:wait()
      end
    end
  until not waited
end

return { new = new }
