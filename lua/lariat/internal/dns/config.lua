-- SPDX-License-Identifier: MIT
--
-- What a resolver goes by: resolv.conf(5), or what dns.configure has said instead. A simulated
-- machine has no such file. The file is looked at again every few seconds.
--
--   { servers = { { host =, port =, text = }, ... }, search = { "example.org" }, ndots = 1,
--     timeout = 5, attempts = 2, rotate = false, tcp = false }

local core = require "lariat.core"
local usage = require "lariat.internal.usage"
local resolver, now = core.resolver, core.task.now

local PATH = "/etc/resolv.conf"
local EVERY = 5                                  -- seconds
local MOST_SERVERS, MOST_SEARCH = 3, 32          -- as the C library's
local MOST_NDOTS, MOST_TIMEOUT, MOST_ATTEMPTS = 15, 30, 5

local config = {}

--- A server from text: "192.0.2.1", "192.0.2.1:53", "2001:db8::1" or "[2001:db8::1]:53".
---@param text string
---@return table? server
function config.server(text)
  local host, port = text:match "^%[(.*)%]:(%d+)$"
  if not host then host, port = text:match "^(%d+%.%d+%.%d+%.%d+):(%d+)$" end
  if not host then host, port = text:match "^%[?([^%[%]]*)%]?$", "53" end
  port = math.tointeger(tonumber(port))
  local address = host and host:gsub("%%[%w._-]+$", "") -- a zone, as of fe80::1%eth0
  local six = address and address:find(":", 1, true)
  local types = require "lariat.wire"
  if not address or port < 1 or port > 65535 then return nil end
  if not (six and types.ipv6 or types.ipv4).from(address) then return nil end
  return { host = host, port = port, six = six ~= nil,
    text = ("[%s]:%d"):format(host, port) }
end

local function defaults()
  return { servers = {}, search = {}, ndots = 1, timeout = 5, attempts = 2, rotate = false,
    tcp = false }
end

local function number(text, most)
  local n = math.tointeger(tonumber(text))
  return n and math.max(0, math.min(n, most))
end

local function set_option(conf, option)
  local name, value = option:match "^([%w-]+):?(%d*)$"
  if name == "ndots" then conf.ndots = number(value, MOST_NDOTS) or conf.ndots
  elseif name == "timeout" then conf.timeout = math.max(1, number(value, MOST_TIMEOUT) or 5)
  elseif name == "attempts" then conf.attempts = math.max(1, number(value, MOST_ATTEMPTS) or 2)
  elseif name == "rotate" then conf.rotate = true
  elseif name == "use-vc" then conf.tcp = true
  end
end

local function words(text)
  local list = {}
  for word in text:gmatch "%S+" do
    if #list < MOST_SEARCH and word ~= "." then list[#list + 1] = word:gsub("%.$", "") end
  end
  return list
end

--- What a resolv.conf says. What cannot be understood is passed over, as the C library does.
---@param text string
---@return table conf
function config.parse(text)
  local conf = defaults()
  for line in text:gmatch "[^\n]+" do
    local keyword, rest = line:match "^(%a+)%s+(.-)%s*$"
    if keyword == "nameserver" then
      local server = config.server(rest:match "^%S*")
      if server and #conf.servers < MOST_SERVERS then table.insert(conf.servers, server) end
    elseif keyword == "search" or keyword == "domain" then
      conf.search = words(rest)
    elseif keyword == "options" then
      for option in rest:gmatch "%S+" do set_option(conf, option) end
    end
  end
  return conf
end

local function read(path)
  local file = io.open(path, "rb")
  local text = file and file:read "a"
  if file then file:close() end
  return text or ""
end

-- Without a file, or a server in it, there may be one on this machine.
local function from_file(file)
  local text = read(PATH)
  if file and file.from == text then return file end
  local conf = config.parse(text)
  if not conf.servers[1] then conf.servers[1] = config.server "127.0.0.1" end
  conf.from = text
  return conf
end

--- What is in force for this program.
---@param state table
---@return table conf
function config.current(state)
  if state.configured then return state.configured end
  if resolver.simulated() then return defaults() end
  local conf = state.file
  if not conf or now() >= conf.again then
    conf = from_file(conf)
    conf.again = now() + EVERY
    state.file = conf
  end
  return conf
end

--- The servers that an option of `name` names, its argument number n.
---@param n integer
---@param name string
---@param servers string|string[]
---@return table[] servers
function config.servers(n, name, servers)
  local list = {}
  if type(servers) == "string" then servers = { servers } end
  for i, text in ipairs(servers) do
    list[i] = type(text) == "string" and config.server(text)
    if not list[i] then
      usage.argument(n, name,
        "option 'servers': an address, or one with a port, expected, got '%s'", tostring(text))
    end
  end
  if not list[1] then usage.argument(n, name, "option 'servers': it is empty") end
  return list
end

local OPTIONS = { servers = "string or table", search = "table", ndots = "integer",
  timeout = "seconds", attempts = "integer", rotate = "boolean", tcp = "boolean" }

local function check_least(options, option, least)
  local value = options[option]
  if value and value < least then
    usage.argument(1, "configure", "option '%s': at least %s expected, got %s", option,
      tostring(least), tostring(value))
  end
end

--- Checks the options of dns.configure; what they leave out is as in an empty resolv.conf.
---@param options table
---@return table conf
function config.check(options)
  usage.check_options(1, "configure", options, OPTIONS)
  check_least(options, "attempts", 1)
  check_least(options, "ndots", 0)
  check_least(options, "timeout", 0.001)
  local conf = defaults()
  for option, value in pairs(options) do conf[option] = value end
  if options.servers then conf.servers = config.servers(1, "configure", options.servers) end
  if options.search then
    conf.search = {}
    for i, domain in ipairs(options.search) do
      if type(domain) ~= "string" then
        usage.argument(1, "configure", "option 'search': string expected, got %s",
          usage.kind(domain))
      end
      conf.search[i] = domain:gsub("%.$", "")
    end
  end
  return conf
end

return config
