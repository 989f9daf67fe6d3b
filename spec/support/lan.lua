-- SPDX-License-Identifier: MIT
--
-- Scenarios that must come out the same over every driver. Each is a function of a LAN with two
-- hosts: `near`, on which it runs, and `far`.
--
--   lan.describe("a stream", function(calm, any)
--     any("carries bytes in order", function(net)          -- also when packets are lost
--       local client, accepted = net:pair()
--     end)
--     calm("carries datagrams", function(net) ... end)      -- only where nothing goes wrong
--   end)
--
-- Over the kernel both hosts are this machine; the simulation has them on one machine, on two, and
-- on two where everything that may go wrong does.

local busted = require "busted"
local sim = require "lariat.sim"
local socket = require "socket"
local task = require "lariat.task"

local lan = {}

-- The LAN -----------------------------------------------------------------------------------------

---@class lariat.spec.Lan
---@field near string the address of the host that the scenario runs on
---@field far string that of the other one
---@field near6 string
---@field far6 string
---@field far_name string
---@field on_far fun(f: function, ...): any runs f(...) on the far host
---@field simulated boolean
---@field bad boolean packets are lost, cut, overtaken
---@field pause number seconds between two tries of something that must come true
local net = {}
net.__index = net

--- A TCP server on the far host, and its port.
---@param host? string one of its addresses
---@param backlog? integer
function net:listen(host, backlog)
  local server = self.on_far(socket.bind, host or self.far, 0, backlog)
  return assert(server), (select(2, server:getsockname()))
end

--- Two connected sockets: the near end and the far one.
function net:pair()
  local server, port = self:listen()
  local client = assert(socket.tcp4())
  assert(client:connect(self.far, port))
  local accepted = assert(server:accept())
  server:close()
  return client, accepted
end

--- A UDP socket on the far host, and its port.
function net:udp(host)
  local udp = self.on_far(function()
    local made = (host or ""):find ":" and socket.udp6() or socket.udp4()
    assert(made:setsockname(host or self.far, 0))
    return made
  end)
  udp:settimeout(30)
  return udp, (select(2, udp:getsockname()))
end

--- Waits until a socket has something to read: data, an end, or a reset.
function net:arrives(sock)
  assert(socket.select({ sock }, nil, 600)[1], "nothing has arrived")
end

--- Sends until that fails, which it must in the end.
function net:send_until_closed(sock)
  local sent, message
  repeat
    sent, message = sock:send "x"
    if sent then sent, message = sock:flush() end
    if sent then task.sleep(self.pause) end
  until not sent
  return message
end

local function free_port_of(host, kind)
  local probe <close> = assert(socket[kind or "tcp4"]())
  assert(probe[kind and "setsockname" or "bind"](probe, host, 0))
  return (select(2, probe:getsockname()))
end

--- A port of the far host that nobody has.
function net:free_port(kind)
  return self.on_far(free_port_of, self.far, kind)
end

--- The same, of the near machine.
---@return integer
function net:own_port()
  return free_port_of(self.near)
end

-- The kinds ---------------------------------------------------------------------------------------

local function call(f, ...) return f(...) end

-- Both hosts are the one that runs this.
local function one_machine(simulated, pause)
  return setmetatable({
    near = "127.0.0.1", far = "127.0.0.1", near6 = "::1", far6 = "::1", far_name = "localhost",
    simulated = simulated, bad = false, pause = pause, on_far = call,
  }, net)
end

local function two_machines(near, far, bad, on_far)
  return setmetatable({
    near = near.address, far = far.address, near6 = near.address6, far6 = far.address6,
    far_name = far.name, simulated = true, bad = bad, pause = 0.1, on_far = on_far,
  }, net)
end

local function over_kernel(scenario)
  scenario(one_machine(false, 0))
end

-- A host that does what it is asked to, for ever.
local function serve(jobs)
  for job in jobs do
    task.spawn(function()
      job.results = table.pack(pcall(job.f, table.unpack(job, 1, job.n)))
      job.done:set()
    end)
  end
end

local function ask(jobs, f, ...)
  local job = table.pack(...)
  job.f, job.done = f, task.event()
  jobs:send(job)
  job.done:wait()
  assert(table.unpack(job.results, 1, job.results.n))
  return table.unpack(job.results, 2, job.results.n)
end

local function on_two_machines(options)
  return function(scenario)
    sim.run(options, function(network)
      local jobs = task.channel()
      local function on_far(f, ...) return ask(jobs, f, ...) end
      local far = network:host("far", serve, jobs)
      local near
      near = network:client("near", function()
        scenario(two_machines(near, far, options.loss ~= nil, on_far))
      end)
    end)
  end
end

local function on_one_machine(scenario)
  sim.run({}, function(network)
    network:client("near", function() scenario(one_machine(true, 0.1)) end)
  end)
end

local BAD_SEEDS = 5

local function in_bad_weather(scenario)
  for seed = 1, BAD_SEEDS do
    on_two_machines {
      seed = seed, loss = 0.1, reorder = 0.2, delay = 0.05, split = 1, partition = 20,
    }(scenario)
  end
end

local KINDS = {
  { name = "over the kernel", run = over_kernel, calm = true },
  { name = "on one simulated machine", run = on_one_machine, calm = true },
  { name = "on a simulated LAN", run = on_two_machines { latency = 0.002, split = false },
    calm = true },
  { name = "on a simulated LAN in bad weather", run = in_bad_weather, calm = false },
}

--- Describes `what` over each kind of network.
---@param what string
---@param define fun(calm: fun(name: string, scenario: fun(net: lariat.spec.Lan)), any: function)
function lan.describe(what, define)
  for _, kind in ipairs(KINDS) do
    local function any(name, scenario)
      busted.it(name, function() kind.run(scenario) end)
    end
    local function calm(name, scenario)
      if kind.calm then any(name, scenario) end
    end
    busted.describe(what .. " " .. kind.name, function() define(calm, any) end)
  end
end

return lan
