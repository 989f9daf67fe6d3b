-- SPDX-License-Identifier: MIT
--
-- The module `lariat.dns`: a resolver of our own. It asks name servers itself, so that any number
-- of lookups can be under way and each ends at once when its task is cancelled.
--
--   for _, mx in ipairs(assert(dns.resolve("example.org", "MX"))) do print(mx.exchange) end

local core = require "lariat.core"
local config = require "lariat.dns.config"
local hosts = require "lariat.dns.hosts"
local misuse = require "lariat.misuse"
local names = require "lariat.dns.name"
local query = require "lariat.dns.query"
local wire = require "lariat.wire"

local dns = {}

local TYPES = { A = true, AAAA = true, CNAME = true, MX = true, SRV = true, TXT = true, NS = true,
  PTR = true, SOA = true, CAA = true, HTTPS = true }

local MESSAGES = { NXDOMAIN = "host not found", NODATA = "no such record" }

-- Names ------------------------------------------------------------------------------------------

-- The name that PTR records of an address have, or nil: it is no address.
local function reverse_name(address)
  local bytes = wire.ipv4.from(address)
  if bytes then
    local a, b, c, d = bytes:byte(1, 4)
    return ("%d.%d.%d.%d.in-addr.arpa"):format(d, c, b, a)
  end
  bytes = address:find(":", 1, true) and wire.ipv6.from(address)
  if not bytes then return nil end
  local nibbles = bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end)
  return nibbles:reverse():gsub("%x", "%0.") .. "ip6.arpa"
end

-- The names that a name may mean, in the order in which they are tried: see resolv.conf(5).
local function candidates(name, conf)
  if name:sub(-1) == "." then return { (name:sub(1, -2)) } end
  local list, _, dots = {}, name:gsub("%.", "")
  if dots >= conf.ndots then list[1] = name end
  for _, domain in ipairs(conf.search) do list[#list + 1] = name .. "." .. domain end
  if dots < conf.ndots then list[#list + 1] = name end
  return list
end

-- Why a name cannot be asked for, or nil.
local function malformed(name)
  local ok, labels = pcall(names.split, (name:gsub("%.$", "")))
  if not ok or name == "" then return "malformed name" end
  local size = 1
  for _, label in ipairs(labels) do
    if #label > 63 then return "malformed name" end
    size = size + #label + 1
  end
  return size > 255 and "malformed name" or nil
end

-- Names that no name server is to be asked about: RFC 6761, RFC 7686.
local function is_private(name)
  local last = name:lower():match "([^.]*)%.?$"
  return last == "invalid" or last == "onion"
end

-- Asking -----------------------------------------------------------------------------------------

-- Tries what the name may mean. -> records | nil, message, code
local function search(name, kind, conf)
  local failure, message = "NXDOMAIN", nil
  for _, candidate in ipairs(candidates(name, conf)) do
    local said, why = query.run(candidate, kind, conf)
    if said and said.records then
      said.records.canonical = said.canonical
      return said.records
    elseif not said then
      if why == "timeout" then return nil, why end
      message = message or why
    elseif said.failure == "NODATA" then
      failure = "NODATA"
    end
  end
  if message and failure ~= "NODATA" then return nil, message end
  return nil, MESSAGES[failure], failure
end

local FAMILIES = { A = "inet", AAAA = "inet6" }

-- Records of what is known without asking: the hosts file, and addresses themselves.
local function known(state, name, kind)
  local family, list, canonical = FAMILIES[kind], nil, nil
  if family and (kind == "A" and wire.ipv4.from(name) or
      kind == "AAAA" and name:find(":", 1, true) and wire.ipv6.from(name)) then
    list, canonical = { name }, name
  elseif family then
    list, canonical = hosts.addresses(state, (name:gsub("%.$", "")), family)
  end
  if not list then return nil end
  local records = { canonical = canonical }
  for i, address in ipairs(list) do
    records[i] = { name = name, type = kind, class = "IN", ttl = 0, address = address }
  end
  return records
end

--- Resolves a name of which the arguments have been checked.
---@param name string
---@param kind string
---@param conf table
---@param asked boolean servers were named: only they count
---@return table? records
---@return string? message
---@return string? code "NXDOMAIN" or "NODATA"
local function resolve(name, kind, conf, asked)
  if kind == "PTR" then name = reverse_name(name) or name end
  local records = not asked and known(query.state(), name, kind)
  if records then return records end
  local why = malformed(name)
  if why then return nil, why end
  if is_private(name) then return nil, MESSAGES.NXDOMAIN, "NXDOMAIN" end
  if not conf.servers[1] then return nil, "no name servers: see dns.configure" end
  return search(name, kind, conf)
end
dns._resolve = resolve

local OPTIONS = { servers = "string or table", timeout = "seconds", tcp = "boolean" }

-- What is in force, with the options of one call. The time of the call is shared among the servers.
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
  if type(name) ~= "string" then misuse.type(1, "resolve", "string", name, name == nil) end
  if type(kind) ~= "string" or not TYPES[kind:upper()] then
    misuse.argument(2, "resolve", "A, AAAA, CNAME, MX, SRV, TXT, NS, PTR, SOA, CAA or HTTPS "
      .. "expected, got %s", type(kind) == "string" and ("'%s'"):format(kind) or misuse.kind(kind))
  end
  options = misuse.check_options(3, "resolve", options == nil and {} or options, OPTIONS)
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
