-- SPDX-License-Identifier: MIT
--
-- lariat --wire FILE.lua ...: what a declaration gives, from the command line.

local node = require "lariat.internal.wire.node"
local registry = require "lariat.internal.wire.registry"
require "lariat.wire"

local USAGE = [==[
usage: lariat --wire FILE.lua [MESSAGE] [action]
FILE.lua declares messages, and returns one or a table of them.
Actions:
  --describe      its fields, in Markdown (this is the default)
  --dump          annotates the messages on standard input
  --random N      writes the bytes of N random messages; with --dump, annotates them;
                  --seed=S says which ones
  --dissector     writes a plugin for Wireshark; --port=N, --udp and --name=NAME say
                  where it applies and what the protocol is called
]==]

local function fail(message, ...)
  io.stdout:flush()
  io.stderr:write("lariat: ", message:format(...), "\n")
  os.exit(1)
end

local function usage_error(message, ...)
  io.stdout:flush()
  io.stderr:write("lariat: ", message:format(...), "\n", USAGE)
  os.exit(2)
end

-- Command line -----------------------------------------------------------------------------------

local NUMBERS = { ["--port"] = "port", ["--seed"] = "seed", ["--random"] = "random" }

local function integer(word, text)
  local value = math.tointeger(tonumber(text))
  return value and value >= 0 and value or usage_error("'%s': a number expected", word)
end

local function parse(args, i)
  local options = {}
  while args[i] do
    local word = args[i]
    local name, value = word:match "^(%-%-%w+)=(.*)$"
    if NUMBERS[name] then
      options[NUMBERS[name]] = integer(word, value)
    elseif word == "--random" then
      i = i + 1
      options.random = integer(word, args[i] or "")
    elseif name == "--name" then
      options.name = value
    elseif word == "--dissector" or word == "--dump" or word == "--describe" or word == "--udp" then
      options[word:sub(3)] = true
    elseif word:sub(1, 1) == "-" then
      usage_error("unrecognized option '%s'", word)
    elseif not options.file then
      options.file = word
    elseif not options.message then
      options.message = word
    else
      usage_error("what is '%s'?", word)
    end
    i = i + 1
  end
  if not options.file then usage_error "a file that declares messages expected" end
  return options
end

-- Messages ---------------------------------------------------------------------------------------

local function messages_in(result)
  if node.is_message(result) then return { result } end
  local list = {}
  for _, x in pairs(type(result) == "table" and result or registry.messages) do
    if node.is_message(x) then list[#list + 1] = x end
  end
  table.sort(list, function(a, b) return a.name < b.name end)
  return list
end

local function load_messages(options)
  local chunk, message = loadfile(options.file)
  if not chunk then fail("%s", message) end
  local ok, result = pcall(chunk)
  if not ok then fail("%s", tostring(result)) end
  local list = messages_in(result)
  if not list[1] then fail("%s declares no message", options.file) end
  if not options.message then return list end
  for _, m in ipairs(list) do
    if m.name == options.message then return { m } end
  end
  fail("%s declares no message '%s'", options.file, options.message)
end

local function only(list, what)
  if not list[2] then return list[1] end
  local names = {}
  for i, m in ipairs(list) do names[i] = m.name end
  usage_error("%s: which message? %s", what, table.concat(names, ", "))
end

-- Actions ----------------------------------------------------------------------------------------

local function dump(message, bytes)
  local at = 1
  repeat
    local _, next = message:decode(bytes, at)
    local last = type(next) ~= "number" or next == at
    io.stdout:write(message:dump(bytes:sub(at, not last and next - 1 or -1)))
    if last then return next == at and at > #bytes end
    at = next
    if at <= #bytes then io.stdout:write "\n" end
  until at > #bytes
  return true
end

local function random(message, options)
  local seed = options.seed or 1
  for i = 1, options.random do
    local bytes = message:encode(message:random(seed + i - 1))
    if options.dump then
      if i > 1 then io.stdout:write "\n" end
      dump(message, bytes)
    else
      io.stdout:write(bytes)
    end
  end
end

local function run(options, list)
  if options.random then
    random(only(list, "--random"), options)
  elseif options.dump then
    if not dump(only(list, "--dump"), io.stdin:read "a") then os.exit(1) end
  elseif options.dissector then
    io.stdout:write(only(list, "--dissector"):dissector {
      port = options.port, transport = options.udp and "udp" or "tcp", name = options.name })
  else
    for i, m in ipairs(list) do io.stdout:write(i > 1 and "\n" or "", m:describe()) end
  end
end

--- Runs `lariat --wire`; args[first] is the first word after it.
---@param args string[]
---@param first integer
return function(args, first)
  local options = parse(args, first)
  _G.arg = table.move(args, first, #args, 1, { [0] = "lariat --wire" })
  run(options, load_messages(options))
end
