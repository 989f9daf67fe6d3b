-- SPDX-License-Identifier: MIT
--
-- The network as the body of a run sees it: hosts, clients, links between them, faults and rules.
-- Every function takes a host by its name or as the object that net:host returned.

local core = require "lariat.core".sim
local faults = require "lariat.internal.sim.faults"
local usage = require "lariat.internal.usage"
local program = require "lariat.internal.sim.program"

local WORLD = 0

local function wrong(method, position, message, ...)
  usage.argument(position, method, message, ...)
end

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

--- Everything that its script has written to standard output so far.
---@return string
function host:output()
  usage.check_self(self, host, "output")
  return core.output(self.id, 1)
end

--- Everything that it has written to standard error so far.
---@return string
function host:errors()
  usage.check_self(self, host, "errors")
  return core.output(self.id, 2)
end

--- Does any of its tasks still run?
---@return boolean
function host:running()
  usage.check_self(self, host, "running")
  local _, tasks = core.state(self.id)
  return tasks > 0
end

--- Waits until its program has ended, or crashed.
---@return "exit"|"crash" how
---@return integer? status
function host:wait()
  usage.check_self(self, host, "wait")
  local _, _, _, before = core.state(self.id)
  core.ended(self.id)
  local up, _, status, crashes = core.state(self.id)
  if not up or crashes > before then return "crash" end -- it may be up again
  return "exit", status
end

--- Ends its program at once: no `<close>` variable runs, and no packet is sent. Until it is started
--- again the host answers no packets.
function host:crash()
  usage.check_self(self, host, "crash")
  if self.id == WORLD then usage.error("the world cannot crash: the run would end with it") end
  return core.crash(self.id)
end

local function start(self)
  self.own_onerror = nil
  local main = program.main(self, self.what, self.seed)
  core.start(self.id, self.name, main, table.unpack(self.arguments, 1, self.arguments.n))
end

local function restart(self)
  repeat core.crash(self.id) until not self:running() -- another task may have been as quick
  start(self)
end

--- Starts its program anew. A program that is still running crashes before that, and with it the
--- caller if it is part of the program.
function host:restart()
  usage.check_self(self, host, "restart")
  if self.id == WORLD then usage.error("the world cannot be started again") end
  if core.current() ~= self.id then return restart(self) end
  core.start(WORLD, "restart", restart, self)
  return core.crash(self.id)
end

-- The network -------------------------------------------------------------------------------------

---@class lariat.sim.Network
local network = {}
network.__index = network
network.__name = "network"

local function new(options)
  return setmetatable({
    hosts = {}, clients = {},
    options = options, seed = options.seed or 1, echo = options.echo ~= false,
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

-- The host of this network with that name, or the host itself; raises for anything else.
local function check(self, who, position, method)
  local found = type(who) == "string" and self.hosts[who]
    or getmetatable(who) == host and self.hosts[who.id] == who and who
  return found or wrong(method, position, "there is no host '%s'", tostring(who))
end

---@class lariat.sim.HostSettings
---@field name string letters, digits, "-", "_" and "."; what others look it up by
---@field stdin? string what the script's standard input holds
---@field echo? boolean shall what the script prints be shown? Default: as the run's option says
---@field status? integer what it exits with; any other status fails the run. Default 0
local SETTINGS = { name = "string", stdin = "string", echo = "boolean", status = "integer" }

local function check_name(self, method, name)
  if not name then wrong(method, 1, "name expected") end
  if #name > 63 or not name:find "^[%w_][%w_.-]*$" or name:find "^[%d.]+$" then
    wrong(method, 1, "'%s' is no name of a host", name)
  end
  if self.hosts[name] then wrong(method, 1, "there is a host '%s' already", name) end
end

local function check_settings(self, method, name, what)
  usage.check_self(self, network, method)
  local settings = type(name) == "table" and name or { name = name }
  for field, value in pairs(settings) do
    local wanted = SETTINGS[field] or wrong(method, 1, "%s", usage.no_option(field, SETTINGS))
    if (math.type(value) or type(value)) ~= wanted then
      wrong(method, 1, "%s: %s expected, got %s", field, wanted, type(value))
    end
  end
  check_name(self, method, settings.name)
  if type(what) ~= "string" and type(what) ~= "function" then
    wrong(method, 2, "script or function expected, got %s", type(what))
  end
  if settings.stdin and type(what) == "function" then
    wrong(method, 1, "stdin: only a script has a standard input of its own")
  end
  return settings
end

-- The arguments of a script: strings, as on a command line.
local function words(method, ...)
  local list = table.pack(...)
  for i = 1, list.n do
    if type(list[i]) ~= "string" and type(list[i]) ~= "number" then
      wrong(method, i + 2, "string expected for a script, got %s", type(list[i]))
    end
    list[i] = tostring(list[i])
  end
  return list
end

local function add(self, method, name, what, ...)
  local settings = check_settings(self, method, name, what)
  local arguments = type(what) == "string" and words(method, ...) or table.pack(...)
  local object = describe(self, core.machine(settings.name), settings.name)
  object.what, object.arguments, object.seed = what, arguments, self.seed
  local echo = settings.echo
  if echo == nil then echo = self.echo end
  core.echo(object.id, echo)
  if settings.stdin then core.input(object.id, settings.stdin) end
  core.expect(object.id, settings.status or 0)
  start(object)
  return object
end

--- Adds a host: a program that the run does not wait for, and that may be started again. A script
--- gets globals, modules and standard streams of its own; a function shares those of the code that
--- made it.
---@param name string|lariat.sim.HostSettings
---@param what string|function path of a script, or a function
---@param ... any its arguments
---@return lariat.sim.Host
function network:host(name, what, ...)
  return add(self, "host", name, what, ...)
end

--- Adds a host that the run waits for.
---@param name string|lariat.sim.HostSettings
---@param what string|function
---@param ... any
---@return lariat.sim.Host
function network:client(name, what, ...)
  local object = add(self, "client", name, what, ...)
  table.insert(self.clients, object)
  return object
end

--- See host:crash.
function network:crash(who)
  usage.check_self(self, network, "crash")
  return check(self, who, 1, "crash"):crash()
end

--- See host:restart.
function network:restart(who)
  usage.check_self(self, network, "restart")
  return check(self, who, 1, "restart"):restart()
end

-- Links -------------------------------------------------------------------------------------------

-- A host, a list of them, or everybody else.
local function group(self, who, position, method)
  if type(who) ~= "table" or getmetatable(who) == host then
    return { check(self, who, position, method) }
  end
  local list = {}
  for i, one in ipairs(who) do list[i] = check(self, one, position, method) end
  for i in pairs(who) do
    if not list[i] then
      wrong(method, position, "list of hosts expected: it has a field '%s'", tostring(i))
    end
  end
  return list
end

local function check_apart(left, right, method)
  local inside = {}
  for _, one in ipairs(left) do inside[one] = true end
  for _, one in ipairs(right) do
    if inside[one] then wrong(method, 2, "host '%s' is on both sides", one.name) end
  end
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
  usage.check_self(self, network, method)
  local left = group(self, a, 1, method)
  local right = b == nil and others(self, left) or group(self, b, 2, method)
  check_apart(left, right, method)
  for _, one in ipairs(left) do
    for _, other in ipairs(right) do
      core.link(one.id, other.id, state)
      core.link(other.id, one.id, state)
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
  usage.check_self(self, network, "heal")
  if a ~= nil then return set_links(self, "heal", "open", a, b) end
  for id = WORLD, #self.hosts do set_links(self, "heal", "open", self.hosts[id]) end
end

--- From now on f(packet) is called for every packet between two hosts; it must not wait. It returns
--- nil or "deliver" (the packet crosses as usual), "drop", "delay" and seconds (or just seconds),
--- "duplicate" (a datagram), or "reset" (a stream). nil in place of f removes it.
---@param f? fun(packet: table): string|number|nil, number?
function network:rule(f)
  usage.check_self(self, network, "rule")
  if f ~= nil and type(f) ~= "function" then
    wrong("rule", 1, "function expected, got %s", type(f))
  end
  core.rule(f)
end

--- Changes the faults and the latency from now on; what is left out is as in the run's options.
---@param options lariat.sim.Options
function network:faults(options)
  usage.check_self(self, network, "faults")
  local problem = type(options) ~= "table" and "table expected" or faults.problem_of_change(options)
  if problem then wrong("faults", 1, "%s", problem) end
  local merged = {}
  for name, value in pairs(self.options) do merged[name] = value end
  for name, value in pairs(options) do merged[name] = value end
  merged.seed = self.seed
  core.faults(faults.settings(merged))
end

-- Time and trace ----------------------------------------------------------------------------------

--- Seconds since the run began.
---@return number
function network:time()
  usage.check_self(self, network, "time")
  return core.time()
end

--- Calls f() on the world, as a task of its own, so many seconds after the beginning.
---@param seconds number
---@param f function
function network:at(seconds, f)
  usage.check_self(self, network, "at")
  if type(seconds) ~= "number" or seconds ~= seconds or seconds < 0 then
    wrong("at", 1, "seconds since the run began expected")
  end
  if type(f) ~= "function" then
    wrong("at", 2, "function expected, got %s", type(f))
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
  usage.check_self(self, network, "trace")
  return core.trace.list(core.trace.present())
end

-- For lariat.sim ----------------------------------------------------------------------------------

-- The host's own handler of errors that nobody joined, if its script has set one.
local function onerror_of(net, id)
  return net.hosts[id] and net.hosts[id].own_onerror
end

-- The world's main task: runs the body, and then waits for the clients to end.
local function supervise(net, body)
  describe(net, WORLD, "world")
  body(net)
  local waited
  repeat
    waited = false
    for _, client in ipairs(net.clients) do
      if client:running() then
        waited = true
        client:wait()
      end
    end
  until not waited
end

return { new = new, onerror_of = onerror_of, supervise = supervise }
