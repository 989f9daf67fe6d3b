-- SPDX-License-Identifier: MIT
--
-- A health checker: can these hosts be connected to? Checks many at once, but never more than a
-- bounded number; each check has a timeout, all of them together a deadline.
--
--   lariat health_checker.lua [-c CONNECTIONS] [-t TIMEOUT] [-d DEADLINE] HOST:PORT ...
--   lariat health_checker.lua ... -             also reads targets from standard input, one a line
--
-- Prints a line for each target when its check has ended ("ok", "failed" or "unchecked", seconds,
-- target, reason), and to a terminal's standard error how far it is. Exit status: 0 all are well;
-- 1 some are not; 2 a command line that makes no sense.

local lariat = require "lariat"
local socket = require "socket"
local task = require "lariat.task"

local OPTIONS = {
  ["-c"] = { name = "connections", least = 1 },
  ["-t"] = { name = "timeout", least = 0 },
  ["-d"] = { name = "deadline", least = 0 },
}
local settings = { connections = 100, timeout = 5, deadline = 60 }
local targets = {}

local function usage()
  io.stderr:write("usage: lariat health_checker.lua [-c CONNECTIONS] [-t TIMEOUT] [-d DEADLINE] ",
    "HOST:PORT ... [-]\n")
  os.exit(2)
end

local function add_target(word)
  local host, port = word:match "^%[?(.-)%]?:(%d+)$"
  port = math.tointeger(port)
  if not port or host == "" or port < 1 or port > 65535 then usage() end
  targets[#targets + 1] = { word = word, host = host, port = port }
end

local function read_command_line()
  local i = 1
  while arg[i] do
    local option = OPTIONS[arg[i]]
    if option then
      i = i + 1
      local value = tonumber(arg[i])
      if not value or value < option.least then usage() end
      settings[option.name] = value
    elseif arg[i] == "-" then
      for line in lariat.stdin:lines() do add_target(line) end
    else
      add_target(arg[i])
    end
    i = i + 1
  end
  if #targets == 0 then usage() end
end

local ended, failed = 0, 0

local function report(target, verdict, seconds, reason)
  target.reported = true
  ended = ended + 1
  if verdict ~= "ok" then failed = failed + 1 end
  local line = ("%-9s %6.3f s  %s"):format(verdict, seconds, target.word)
  print(reason and line .. "  " .. reason or line)
end

-- The timeout reaches everything inside: the name lookup, and racing the host's addresses.
local function check(target)
  local started = task.now()
  local conn, message = task.timeout(settings.timeout, socket.connect, target.host, target.port)
  if conn then conn:close() end
  report(target, conn and "ok" or "failed", task.now() - started,
    message == "deadline" and "timeout" or message)
end

-- Ends with the `<close>` variable that holds it.
local function show_progress()
  return task.spawn({ name = "progress" }, function()
    while true do
      task.sleep(0.2)
      io.stderr:write(("\r%d of %d checked, %d not well "):format(ended, #targets, failed))
    end
  end)
end

-- The deadline ends the group, and so every check in it, wherever it is waiting.
local function check_all()
  local permits = task.semaphore(math.tointeger(settings.connections // 1))
  return task.timeout(settings.deadline, task.group, function(g)
    for _, target in ipairs(targets) do
      permits:acquire()
      g:spawn({ name = target.word }, function()
        local permit <close> = setmetatable({}, { __close = function() permits:release() end })
        check(target, permit)
      end)
    end
  end)
end

read_command_line()
do
  local terminal = require "lariat.core".isatty(2)
  local progress <close> = terminal and show_progress() or nil
  check_all()
  if progress then io.stderr:write "\r\27[K" end
end
for _, target in ipairs(targets) do
  if not target.reported then report(target, "unchecked", settings.deadline, "deadline") end
end
print(("%d targets, %d not well"):format(#targets, failed))
os.exit(failed == 0 and 0 or 1)
