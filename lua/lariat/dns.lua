-- SPDX-License-Identifier: MIT
--
-- The module `lariat.dns`: a resolver of our own. It asks name servers itself, so that any number
-- of lookups can be under way and each ends at once when its task is cancelled.
--
--   for _, mx in ipairs(assert(dns.resolve("example.org", "MX"))) do print(mx.exchange) end

local core = require "lariat.core"
local config = require "lariat.internal.dns.config"
local usage = require "lariat.internal.usage"
local query = require "lariat.internal.dns.query"
local resolve = require "lariat.internal.dns.resolve"

local dns = {}

local TYPES = { A = true, AAAA = true, CNAME = true, MX = true, SRV = true, TXT = true, NS = true,
  PTR = true, SOA = true, CAA = true, HTTPS = true }

local OPTIONS = { servers = "string or table", timeout = "seconds", tcp = "boolean" }

-- The settings in force, with the options of one call.
-- The time of the call is shared among the servers.
local function with_options(options)
  local current = config.current(query.state())
  local conf = setmetatable({}, { __index = current })
  if options.servers ~= nil then conf.servers = config.servers(3, "resolve", options.servers) end
  if options.tcp ~= nil then conf.tcp = options.tcp end
  if options.timeout and options.timeout >= 0 then
    local shares = conf.attempts * math.max(1, #conf.servers)
    conf.timeout = math.min(conf.timeout, options.timeout / shares)
  end
  return conf
end

--- Resolves a name: a list of records, each with name, type, ttl and what its type has.
---@param name string
---@param kind "A"|"AAAA"|"CNAME"|"MX"|"SRV"|"TXT"|"NS"|"PTR"|"SOA"|"CAA"|"HTTPS"
---@param options? { servers?: string|string[], timeout?: number, tcp?: boolean }
---@return table[]? records and `canonical`, the name at the end of its aliases
---@return string? message "timeout", "host not found", "no such record", ...
---@return string? code "NXDOMAIN" or "NODATA" if that is the answer
function dns.resolve(name, kind, options)
  if type(name) ~= "string" then usage.type(1, "resolve", "string", name, name == nil) end
  if type(kind) ~= "string" or not TYPES[kind:upper()] then
    usage.argument(2, "resolve", "A, AAAA, CNAME, MX, SRV, TXT, NS, PTR, SOA, CAA or HTTPS "
      .. "expected, got %s", type(kind) == "string" and ("'%s'"):format(kind) or usage.kind(kind))
  end
  options = usage.check_options(3, "resolve", options == nil and {} or options, OPTIONS)
  local conf = with_options(options)
  local asked = options.servers ~= nil
  kind = kind:upper()
  if not options.timeout or options.timeout < 0 then return resolve(name, kind, conf, asked) end
  local records, message, code = core.scope.run(core.task.now() + options.timeout, false, false,
    resolve, name, kind, conf, asked)
  if message == "deadline" then message = "timeout" end
  return records, message, code
end

--- Says what the resolver of this program goes by, instead of resolv.conf; without arguments it
--- goes by that again. What it knows is forgotten.
---@param options? { servers?: string|string[], search?: string[], ndots?: integer,
---  timeout?: number, attempts?: integer, rotate?: boolean, tcp?: boolean }
function dns.configure(options)
  local state = query.state()
  state.configured = options ~= nil and config.check(options) or nil
  dns.flush()
end

--- Forgets what has been learnt from name servers.
function dns.flush()
  local state = query.state()
  state.file, state.hosts = nil, nil
  query.forget(state)
end

return dns
