-- SPDX-License-Identifier: MIT
--
-- Names that are known without asking a name server: those of the hosts file, "localhost", and in a
-- simulation those of its machines. The file is looked at again every few seconds.
--
-- This is all that the resolver knows of the hosts file: `addresses` and `name` could as well be
-- answered from elsewhere.

local core = require "lariat.core"
local resolver, now = core.resolver, core.task.now

local PATH = "/etc/hosts"
local EVERY = 5 -- seconds

local hosts = {}

local function read(path)
  local file = io.open(path, "rb")
  local text = file and file:read "a"
  if file then file:close() end
  return text or ""
end

local function family_of(address)
  return address:find(":", 1, true) and "inet6" or "inet"
end

--- The lines of a hosts file.
---@param text string
---@return table known name in lower case -> { canonical =, { address =, family = }, ... }
---@return table names address -> name
function hosts.parse(text)
  local known, names = {}, {}
  for line in text:gmatch "[^\n]+" do
    local address, rest = line:gsub("#.*", ""):match "^%s*(%S+)%s+(.*)$"
    local canonical = rest and rest:match "%S+"
    for name in (canonical and rest or ""):gmatch "%S+" do
      local key = name:lower()
      known[key] = known[key] or { canonical = canonical }
      table.insert(known[key], { address = address, family = family_of(address) })
    end
    if canonical then names[address:lower()] = names[address:lower()] or canonical end
  end
  return known, names
end

local function current(state)
  local file = state.hosts
  if not file or now() >= file.again then
    local text = read(PATH)
    if not file or file.text ~= text then
      file = { text = text }
      file.known, file.names = hosts.parse(text)
      state.hosts = file
    end
    file.again = now() + EVERY
  end
  return file
end

local LOCALHOST = {
  canonical = "localhost",
  { address = "127.0.0.1", family = "inet" }, { address = "::1", family = "inet6" },
}

-- In a simulation: the network itself knows its machines.
local function machine(name)
  local found = resolver.system(name)
  if not found then return nil end
  local list = { canonical = name }
  for i, info in ipairs(found) do list[i] = { address = info.addr, family = info.family } end
  return list
end

--- The addresses of a name that is known here.
---@param state table
---@param name string without the last dot
---@param family? "inet"|"inet6"
---@return string[]? addresses nil: a name server has to be asked
---@return string? canonical
function hosts.addresses(state, name, family)
  local key = name:lower()
  local known
  if resolver.simulated() then
    known = machine(name)
  else
    known = current(state).known[key]
  end
  if not known and (key == "localhost" or key:find "%.localhost$") then known = LOCALHOST end
  if not known then return nil end
  local list = {}
  for _, one in ipairs(known) do
    if not family or one.family == family then list[#list + 1] = one.address end
  end
  if list[1] then return list, known.canonical end
end

--- The name of an address that is known here.
---@param state table
---@param address string
---@return string? name
function hosts.name(state, address)
  if resolver.simulated() then return (resolver.system(address)) end
  return current(state).names[address:lower()]
end

return hosts
