-- SPDX-License-Identifier: MIT
--
-- Lookups of the runtime's own: what connect, sendto, bind and socket.dns ask for once
-- socket.dns.use("lariat") has been called. See src/net/resolver.c, which starts a task for each.

local core = require "lariat.core"
local config = require "lariat.internal.dns.config"
local group = require "lariat.internal.task.group"
local hosts = require "lariat.internal.dns.hosts"
local order = require "lariat.internal.dns.order"
local query = require "lariat.internal.dns.query"
local resolve = require "lariat.internal.dns.resolve"
local resolver = core.resolver

local TYPES = { inet = "A", inet6 = "AAAA" }

-- Numbers and dots, and whatever has a colon: nobody has to be asked what it means.
local function is_numeric(name)
  return name:find ":" or name:find "^[%d.]+$" or name:find "^0[xX]%x+$" or name == ""
end

-- Both families at once. -> records of both, IPv6 first; or nil, message, code
local function ask_both(name, conf)
  local four, six, failure
  local function ask(kind)
    local records, message, code = resolve(name, kind, conf)
    if not records and (not failure or not code) then failure = { message, code } end
    return records or false
  end
  six, four = group.all(function() return ask "AAAA" end, function() return ask "A" end)
  if not four and not six then return nil, failure[1], failure[2] end
  local both = { canonical = (four or six).canonical }
  for _, records in ipairs { six or {}, four or {} } do
    for _, record in ipairs(records) do both[#both + 1] = record end
  end
  return both
end

local function find_addresses(name, family)
  if is_numeric(name) then return { name } end
  local state = query.state()
  local list, canonical = hosts.addresses(state, (name:gsub("%.$", "")), family)
  if list then return order.sort(list), canonical end
  local conf = config.current(state)
  local records, message, code
  if family then
    records, message, code = resolve(name, TYPES[family], conf)
  else
    records, message, code = ask_both(name, conf)
  end
  if not records then return nil, code or message end
  list = {}
  for i, record in ipairs(records) do list[i] = record.address end
  return order.sort(list), records.canonical
end

local function find_name(address)
  local state = query.state()
  local name = hosts.name(state, address)
  if name then return name end
  local records, message, code = resolve(address, "PTR", config.current(state))
  return records and records[1].target, not records and (code or message) or nil
end

local FAILURES = { NXDOMAIN = "unknown", NODATA = "unknown", ["malformed name"] = "unknown" }

local function find(answer, name, family)
  if family == "name" then
    local found, why = find_name(name)
    if found or FAILURES[why] then return resolver.answer(answer, found) end
    return resolver.fail(answer, "again")
  end
  local list, canonical = find_addresses(name, family)
  if list then return resolver.answer(answer, list, canonical) end
  resolver.fail(answer, FAILURES[canonical] or "again")
end

--- Ends a lookup, whatever happens.
---@param answer userdata
---@param name string
---@param family? "inet"|"inet6"|"name"
return function(answer, name, family)
  local ok, err = pcall(find, answer, name, family)
  if ok then return end
  resolver.fail(answer, "again")
  if err ~= core.task.cancelled then
    core.task.report(err, "an error in the resolver", tostring(err))
  end
  error(err, 0)
end
