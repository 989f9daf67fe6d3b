---@meta lariat.sim
-- SPDX-License-Identifier: MIT
--
-- The module `lariat.sim` for lua-language-server.

---@class lariat.sim.Options
---@field seed? integer decides everything that is left to chance; default 1
---@field latency? number|number[] seconds from host to host, or {least, most}; default {0.001, 0.005}
---@field loss? boolean|number probability that a packet is lost
---@field duplicate? boolean|number that a datagram arrives twice
---@field reorder? boolean|number that a packet is overtaken by later ones
---@field delay? boolean|number that a packet holds up its link for 0.1 to 1 s
---@field split? boolean|number that data are cut anywhere into packets; default true
---@field partition? boolean|number mean seconds between partitions of two hosts
---@field swarm? boolean the seed turns each of these families on or off
---@field without? string[] families that stay off
---@field epoch? number what the wall clock says at the beginning
---@field max_events? integer
---@field max_time? number virtual seconds
---@field echo? boolean scripts' output is shown

---@class lariat.sim.TestOptions: lariat.sim.Options
---@field seeds? integer how many, from 1 on; default 100
---@field timeout? number real seconds for each seed

--- A packet of the trace, or one that a rule is asked about.
---@class lariat.sim.Packet
---@field time number when it was sent
---@field arrival? number
---@field from string
---@field to string
---@field kind "syn"|"synack"|"ack"|"data"|"fin"|"rst"|"datagram"|"unreachable"
---@field verdict? "delivered"|"lost"|"partitioned"|"held"|"ruled"|"down"|"refused"|"full"|"reset"
---@field source integer port
---@field target integer port
---@field size integer bytes of data
---@field sequence? integer of its first byte
---@field attempt integer 1, 2, ...
---@field duplicate? boolean
---@field data? string only for rules

--- What a run came to.
---@class lariat.sim.Result
---@field ok boolean
---@field error? string
---@field raised? any the error's value, if one was raised
---@field seed integer
---@field faults string[] the families that were on
---@field hash string of the trace
---@field events integer
---@field time number virtual seconds
local Result = {}

---@return lariat.sim.Packet[]
function Result:trace() end

---@param last? integer only so many packets, the last ones
---@return string
function Result:ladder(last) end

---@param last? integer
---@return string[]
function Result:lines(last) end

---@class lariat.sim.Host
---@field name string
---@field address string IPv4
---@field address6 string IPv6
local Host = {}

---@return string # what its script has written to standard output
function Host:output() end

---@return string # and to standard error
function Host:errors() end

---@return boolean
function Host:running() end

--- Waits for the end of its program.
---@return "exit"|"crash" how
---@return integer? status
function Host:wait() end

--- Ends its program without a word.
function Host:crash() end

--- Starts it anew.
function Host:restart() end

---@class lariat.sim.HostSettings
---@field name string
---@field stdin? string
---@field echo? boolean
---@field status? integer the exit status that is no failure; default 0

---@class lariat.sim.Network
---@field seed integer
local Network = {}

--- A program that nobody waits for: the path of a script, or a function, and its arguments.
---@param name string|lariat.sim.HostSettings
---@param program string|fun(...: any)
---@param ... any
---@return lariat.sim.Host
function Network:host(name, program, ...) end

--- One that the run waits for.
---@param name string|lariat.sim.HostSettings
---@param program string|fun(...: any)
---@param ... any
---@return lariat.sim.Host
function Network:client(name, program, ...) end

---@param host string|lariat.sim.Host
function Network:crash(host) end

---@param host string|lariat.sim.Host
function Network:restart(host) end

---@alias lariat.sim.Hosts string|lariat.sim.Host|(string|lariat.sim.Host)[]

---@param a lariat.sim.Hosts
---@param b? lariat.sim.Hosts default: all others
function Network:partition(a, b) end

---@param a lariat.sim.Hosts
---@param b? lariat.sim.Hosts default: all others
function Network:hold(a, b) end

---@param a? lariat.sim.Hosts default: all
---@param b? lariat.sim.Hosts default: all others
function Network:heal(a, b) end

---@param f? fun(packet: lariat.sim.Packet): string|number|nil, number?
function Network:rule(f) end

---@param options lariat.sim.Options
function Network:faults(options) end

---@param seconds number since the run began
---@param f function
function Network:at(seconds, f) end

---@return number # seconds since the run began
function Network:time() end

---@return lariat.sim.Packet[]
function Network:trace() end

---@class lariat.sim
local sim = {}

--- Runs body on a network of its own; raises what fails.
---@param options lariat.sim.Options
---@param body fun(net: lariat.sim.Network)
---@return lariat.sim.Result
function sim.run(options, body) end

--- The same, but a failure is in the result.
---@param options lariat.sim.Options
---@param body fun(net: lariat.sim.Network)
---@return lariat.sim.Result
function sim.try(options, body) end

--- A busted test that runs body once for each seed.
---@param name string
---@param options? lariat.sim.TestOptions
---@param body fun(net: lariat.sim.Network)
function sim.it(name, options, body) end

--- Runs a seed twice and compares the traces.
---@param seed integer
---@param options lariat.sim.TestOptions
---@param body fun(net: lariat.sim.Network)
---@return true? # nil if they differ
---@return string? message
function sim.check(seed, options, body) end

---@return lariat.sim.Network? # of the run under way
function sim.network() end

return sim
