-- SPDX-License-Identifier: MIT
--
-- A name as people write it, and records: what is known without asking, the search list, and names
-- that cannot be one.

local hosts = require "lariat.internal.dns.hosts"
local names = require "lariat.internal.dns.name"
local query = require "lariat.internal.dns.query"
local wire = require "lariat.wire"

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

-- A name that has become too long by a domain of the search list is not there.
local function ask(candidate, kind, conf)
  if malformed(candidate) then return { failure = "NXDOMAIN" } end
  return query.run(candidate, kind, conf)
end

-- Tries what the name may mean. -> records | nil, message, code
local function search(name, kind, conf)
  local failure, message = "NXDOMAIN", nil
  for _, candidate in ipairs(candidates(name, conf)) do
    local said, why = ask(candidate, kind, conf)
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

--- Resolves a name.
---@param name string
---@param kind string
---@param conf table
---@param asked boolean servers were named: only they count
---@return table? records
---@return string? message
---@return string? code "NXDOMAIN" or "NODATA"
return function(name, kind, conf, asked)
  if kind == "PTR" then name = reverse_name(name) or name end
  local records = not asked and known(query.state(), name, kind)
  if records then return records end
  local why = malformed(name)
  if why then return nil, why end
  if is_private(name) then return nil, MESSAGES.NXDOMAIN, "NXDOMAIN" end
  if not conf.servers[1] then return nil, "no name servers: see dns.configure" end
  return search(name, kind, conf)
end
