-- SPDX-License-Identifier: MIT
--
-- The command line, with the switches of `lua`. Runs as the main task: what it calls may wait.
-- Exit status: 0; 1 for an error of the script; 2 for a command line that makes no sense.

local core = require "lariat.core"
require "lariat.internal.stdlib"

local USAGE = [==[
usage: lariat [options] [script [args]]
       lariat [options] --sim[=SEED] script [args]
       lariat --test [busted options] [spec files or directories]
       lariat --wire FILE.lua [MESSAGE] [--describe | --dump | --random N | --dissector]
Options:
  -e stat     execute string 'stat'
  -i          enter interactive mode after executing 'script'
  -l mod      require library 'mod' into global 'mod'
  -l g=mod    require library 'mod' into global 'g'
  -v          show version information
  -E          ignore environment variables
  -W          turn warnings on
  --sim=SEED  run the script on a simulated network, in virtual time; any seed if none is given
  --test      run busted specs; --timeout=SECONDS limits each test (default 10);
              --allow-leaks lets tests leave sockets, children and tasks behind,
              --strict-leaks counts what the collector would have closed as well;
              for tests made by sim.it, --seeds=N is how many seeds to try, --seed=N
              the only one, and --without=LIST which families of faults stay off
  --wire      what the declaration of a protocol gives (see docs/wire.md): a description,
              annotated dumps, random messages, a plugin for Wireshark
  --help      show this text
  --version   show the versions of lariat, Lua and libuv
  --          stop handling options
  -           stop handling options and execute stdin
]==]

local function fail(status, message)
  io.stdout:flush()
  io.stderr:write("lariat: ", message, "\n")
  os.exit(status)
end

local function usage_error(message)
  io.stdout:flush()
  io.stderr:write("lariat: ", message, "\n", USAGE)
  os.exit(2)
end

local function version_line()
  local lariat, lua, libuv = core.versions()
  return ("lariat %s, Lua %s, libuv %s"):format(lariat, lua:gsub("^Lua ", ""), libuv)
end

-- Options: parsed into a list of actions, in their order ---------------------------------------

-- The rest of "-eX", or the next argument.
local function operand(args, i)
  local attached = args[i]:sub(3)
  if attached ~= "" then return attached, i end
  local following = args[i + 1]
  if not following or following:sub(1, 1) == "-" and args[i]:sub(2, 2) == "l" then
    usage_error(("'%s' needs argument"):format(args[i]))
  end
  return following, i + 1
end

local FLAGS = { i = "interactive", v = "version", E = "noenv", W = "warn" }
local SWITCHES = { -- for the message about one that is none of them
  ["-e"] = true, ["-i"] = true, ["-l"] = true, ["-v"] = true, ["-E"] = true, ["-W"] = true,
  ["--sim"] = true, ["--test"] = true, ["--wire"] = true, ["--help"] = true, ["--version"] = true,
}
local BEHIND = { -- and about one that has a meaning only behind another
  ["--timeout"] = "--test", ["--allow-leaks"] = "--test", ["--strict-leaks"] = "--test",
  ["--seed"] = "--test", ["--seeds"] = "--test", ["--without"] = "--test",
  ["--filter"] = "--test", ["--output"] = "--test",
  ["--describe"] = "--wire", ["--dump"] = "--wire", ["--random"] = "--wire",
  ["--dissector"] = "--wire",
}

local function unknown_switch(word)
  local name = word:match "^[^=]*"
  local message = require "lariat.internal.usage".no_option(name, SWITCHES)
  if BEHIND[name] then
    message = ("'%s' has a meaning only behind '%s'"):format(name, BEHIND[name])
    if name == "--seed" then message = message .. "; a script takes its seed from '--sim=SEED'" end
  end
  usage_error(message)
end

-- "--sim" or "--sim=SEED". Any seed will do: a failure says which it was.
local function check_seed(word)
  local text = word:match "=(.*)"
  local seed = text and math.tointeger(tonumber(text)) or not text and math.random(1, 1 << 31)
  return seed or usage_error(("'%s': an integer expected"):format(word))
end

local function parse(args)
  local options = { actions = {} }
  local i = 2
  while args[i] and args[i]:sub(1, 1) == "-" do
    local word = args[i]
    local letter = word:sub(2, 2)
    if word == "-" then break end
    if word == "--" then i = i + 1 break end
    if word == "--help" or word == "--version" or word == "--test" or word == "--wire" then
      options[word:sub(3)] = true
      i = i + 1
      break
    elseif word == "--sim" or word:find "^%-%-sim=" then
      options.sim, options.sim_at = check_seed(word), i
    elseif letter == "e" or letter == "l" then
      local value
      value, i = operand(args, i)
      table.insert(options.actions, { kind = letter, value = value })
      options.executes = options.executes or letter == "e"
    elseif FLAGS[letter] and #word == 2 then
      options[FLAGS[letter]] = true
      if letter == "W" then table.insert(options.actions, { kind = "W" }) end
    else
      unknown_switch(word)
    end
    i = i + 1
  end
  options.script = i
  return options
end

-- Actions --------------------------------------------------------------------------------------

local function run(chunk, message, ...)
  if not chunk then fail(1, message) end
  return chunk(...)
end

local function run_init()
  local name = "LUA_INIT_5_4"
  local init = os.getenv(name)
  if not init then
    name = "LUA_INIT"
    init = os.getenv(name)
  end
  if not init then return end
  if init:sub(1, 1) == "@" then
    run(loadfile(init:sub(2)))
  else
    run(load(init, "=" .. name))
  end
end

local function run_action(action)
  if action.kind == "e" then
    run(load(action.value, "=(command line)"))
  elseif action.kind == "W" then
    warn "@on"
  else
    local global, module = action.value:match "^([^=]*)=(.*)$"
    module = module or action.value
    -- A module that is not found is the command line's mistake: no line of this file is named.
    _G[global or module] = load("return (require(...))", "=(command line)")(module)
  end
end

local function set_arg(args, script)
  local arg = {}
  for i = 1, #args do arg[i - script] = args[i] end
  _G.arg = arg
end

local function run_script(args, script)
  local name = args[script]
  local chunk, message = loadfile(name ~= "-" and name or nil)
  return run(chunk, message, table.unpack(args, script + 1))
end

-- The command line, with the seed that was taken.
local function replay(args, options)
  local words = table.move(args, 1, #args, 1, {})
  words[options.sim_at] = "--sim=" .. options.sim
  return require "lariat.internal.sim.shell"(words)
end

local function simulate(args, options)
  local script = options.script
  local chunk, message = loadfile(args[script] ~= "-" and args[script] or nil)
  if not chunk then fail(1, message) end
  local result = require "lariat.sim".try({ seed = options.sim }, function()
    return chunk(table.unpack(args, script + 1))
  end)
  if result.ok then return end
  fail(1, ("%s\nreplay: %s"):format(result.error, replay(args, options)))
end

local function interact(options)
  if not options.version then print(version_line()) end
  return require "lariat.internal.repl.repl".run()
end

local function run_tests(args, first)
  return require "lariat.internal.test.busted".run(args[1], table.move(args, first, #args, 1, {}))
end

--- The main task.
---@param ... string the program's name and its arguments
return function(...)
  local args = { ... }
  local options = parse(args)
  local script = options.script
  if options.help then io.stdout:write(USAGE) return end
  if options.version then print(version_line()) end
  if options.test and options.sim then
    usage_error "'--sim' goes with a script; the seed of tests is '--test --seed=N'"
  end
  if options.test then return run_tests(args, script) end
  if options.wire then return require "lariat.internal.wire.command"(args, script) end
  if options.sim and not args[script] then usage_error("'--sim' needs a script, or '-'") end
  set_arg(args, args[script] and script or 1)
  if not options.noenv then run_init() end
  if args[script] then require "lariat.internal.searchpath".add(package, args[script]) end
  for _, action in ipairs(options.actions) do run_action(action) end
  if options.sim then return simulate(args, options) end
  if args[script] then run_script(args, script) end
  local idle = not args[script] and not options.executes and not options.version
  if options.interactive or idle and core.isatty(0) then
    return interact(options)
  elseif idle then
    run(loadfile())
  end
end
