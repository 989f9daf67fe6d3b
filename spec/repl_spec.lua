-- SPDX-License-Identifier: MIT
--
-- The interactive mode: with its input piped, and at a terminal of its own, which script(1) makes.
-- What is typed waits for the output that must come before it; nothing sleeps.

local lariat = require "lariat"
local net = require "spec.support.net"
local peers = require "spec.support.peers"

local LARIAT = os.getenv "LARIAT" or "./lariat"

-- Runs with piped input; returns what it printed after its version line, and how it ended.
local function piped(input)
  local child <close> = assert(lariat.run { LARIAT, "-i", input = input, stderr = "stdout" })
  local text = assert(child.stdout:receive "*a")
  return text:match "^lariat [^\n]*\n(.*)$", select(2, child:wait())
end

-- A program at a terminal: type(keys), expect(text) -> what came before it, status().
local terminal = {}
terminal.__index = terminal

local function at_terminal(command, env)
  env = env or {}
  env.TERM = env.TERM or "dumb"
  env.LARIAT_HISTORY = env.LARIAT_HISTORY or ""
  env.INPUTRC = "/dev/null"
  local child = assert(lariat.run {
    "script", "-qefc", "exec " .. command, "/dev/null", stdin = "pipe", stderr = "null", env = env,
  })
  child.stdout:settimeout(8 * (tonumber(os.getenv "SCALE") or 1))
  return setmetatable({ child = child, text = "" }, terminal)
end

function terminal:type(keys) assert(self.child.stdin:send(keys)) end

function terminal:expect(expected)
  while true do
    local first, last = self.text:find(expected, 1, true)
    if first then
      local before = self.text:sub(1, first - 1)
      self.text = self.text:sub(last + 1)
      return before
    end
    local more, message = self.child.stdout:receiveany()
    if not more then
      error(("%s before %q; there is %q"):format(message, expected, self.text), 2)
    end
    self.text = self.text .. more:gsub("\r", "")
  end
end

-- The rest of the output and the exit status.
function terminal:finish()
  local rest = self.child.stdout:receive "*a" or ""
  return self.text .. rest:gsub("\r", ""), select(2, self.child:wait())
end

function terminal:__close() self.child:close() end

local function session(env)
  local t = at_terminal(LARIAT .. " -i", env)
  t:expect "libuv"
  t:expect "\n> "
  return t
end

it("a session at a terminal says what it lacks when readline cannot be loaded", function()
  local dir <close> = peers.directory()
  dir:write("libreadline.so.8", "no library")
  local t <close> = at_terminal(LARIAT .. " -i", { LD_LIBRARY_PATH = dir.path })
  local text, status = t:finish()
  assert.truthy(text:find("editing lines needs GNU readline, which cannot be loaded", 1, true))
  assert.equal(1, status)
end)

describe("a session with piped input", function()
  it("prints the values of expressions and no prompts", function()
    assert.same({ "2\n1\tnil\n\"x\"\n", 0 }, { piped "1 + 1\n1, nil\n('%q'):format 'x'\n" })
  end)

  it("reads a last line without an end", function()
    assert.equal("7\n", (piped "return 7"))
  end)

  it("goes on in the next line where a statement is not complete", function()
    assert.equal("1\n2\n", (piped "for i = 1, 2 do\nprint(i)\nend\n"))
  end)

  it("keeps globals and forgets locals", function()
    assert.equal("1\tnil\n", (piped "a = 1 local b = 2\na, b\n"))
  end)

  it("shows an error with the user's part of the traceback and goes on", function()
    local text, status = piped "local function f() error 'boom' end f()\n2\n"
    assert.equal([[
stdin:1: boom
stack traceback:
	[C]: in function 'error'
	stdin:1: in local 'f'
	stdin:1: in main chunk
	[C]: in ?
2
]], text)
    assert.equal(0, status)
  end)

  it("goes on after errors that are no strings, and values that cannot be printed", function()
    assert.equal([[
as text
error calling 'print' (no text)
3
]], (piped [[
error(setmetatable({}, { __tostring = function() return "as text" end }))
setmetatable({}, { __tostring = function() error("no text", 0) end })
3
]]))
  end)

  it("shows a syntax error, also of input that ends too early", function()
    assert.equal("stdin:1: unexpected symbol near '+'\n2\nstdin:1: 'end' expected near <eof>\n",
      (piped "+\n2\nfor i = 1, 2 do"))
  end)

  it("prints tables with their content, keys sorted", function()
    assert.equal([[
{ 1, 2, nested = { "x\n", {} }, ["not a name"] = 1.5, x = true, [false] = 0 }
{}	1	{ 2 }	text
]], (piped [[
{ 1, 2, x = true, nested = { "x\n", {} }, ["not a name"] = 1.5, [false] = 0 }
{}, 1, { 2 }, "text"
]]))
  end)

  it("prints a table in lines of its own where one is too short", function()
    assert.equal([[
{
  "a long string that takes its room",
  "a long string that takes its room",
  nested = { 1 },
}
{
  10000, 10001, 10002, 10003, 10004, 10005, 10006, 10007, 10008, 10009, 10010,
  10011, 10012,
}
]], (piped [[
s = "a long string that takes its room" return { s, s, nested = { 1 } }
t = {} for i = 0, 12 do t[i + 1] = 10000 + i end return t
]]))
  end)

  it("bounds what it prints of a table: its depth, its entries, its strings, itself", function()
    local text = piped [[
t = {} t.t = { t } return t
{ { { { 1 } } } }
big = {} for i = 1, 1e5 do big[i] = { i, { i } } end return big
{ ("x"):rep(1e6) }
{ setmetatable({}, { __tostring = function() return ("y"):rep(1e6) end }) }
]]
    local lines = {}
    for line in text:gmatch "[^\n]+" do lines[#lines + 1] = line end
    assert.equal("{ t = { {...} --[[ itself ]" .. "] } }", lines[1])
    assert.equal("{ { { {...} } } }", lines[2])
    assert.truthy(text:find("... 99900 more,\n}", 1, true))
    assert.truthy(text:find('"' .. ("x"):rep(200) .. '"...', 1, true))
    assert.truthy(text:find("{\n  " .. ("y"):rep(200) .. "...,\n}", 1, true))
    assert.is_true(#text < 10000)
  end)

  it("prints an object by its __tostring, also in a table, and calls no other method", function()
    assert.equal([[
an object
{ an object, {} }
{ secret = 1 }
class { x = 1 }
]], (piped [[
object = setmetatable({ 1 }, { __tostring = function() return "an object" end }) return object
{ object, setmetatable({}, { __len = error, __index = error, __pairs = error }) }
setmetatable({ secret = 1 }, { __metatable = "hidden" })
setmetatable({ x = 1 }, { __name = "class" })
]]))
  end)

  it("shows tasks and sockets by the line that a dump has of each", function()
    local text = piped [[
require "lariat.task".list()
server = require "socket".bind("127.0.0.1", 0)
list = require "lariat".sockets() return list[#list]
]]
    assert.matches("^{ task main is running }\n", text)
    assert.matches("\nsocket tcp{server} 127%.0%.0%.1:%d+: received 0, [^\n]*stdin:1\n$", text)
  end)

  it("helps: with a text, and with what a value has", function()
    local text = piped "help\n"
    assert.matches("task%.spawn", text)
    assert.equal(text, (piped "help()\n"))
    text = piped "help(require 'socket'.udp())\n"
    assert.matches("^udp{unconnected}: 0x%x+ has\n", text)
    assert.matches(" sendto%(%)", text)
    assert.matches("^function: .*: lariat's functions are described in docs/reference.md\n$",
      (piped "help(require 'socket'.connect)\n"))
    assert.equal("mine\n", (piped "help = 'mine'\nhelp\n"))
  end)

  it("ends with status 0 after errors of tasks in the background, which it tells", function()
    local text, status = piped [[
task = require "lariat.task"
t = task.spawn(error, "in the background")
task.yield()
"on"
]]
    assert.matches("lariat: error in task .*: in the background\n.*\non\n$", text)
    assert.equal(0, status)
    assert.equal(3, select(2, piped(
      "require 'lariat.task'.spawn(error, 'x') require 'lariat.task'.yield() os.exit(3)\n")))
  end)

  it("lets what runs wait for the network", function()
    local port, server <close> = net.server(function(conn) conn:send "hello\n" end)
    local text = piped(([[
conn = require "socket".connect("127.0.0.1", %d)
conn:receive()
]]):format(port))
    assert.equal("hello\tnil\tnil\n", text)
    assert.truthy(server)
  end)

  it("ends the other tasks when the input ends, running their <close> variables", function()
    local text, status = piped [[
task = require "lariat.task"
function forever()
  local t <close> = setmetatable({}, { __close = function() print "closed" end })
  task.sleep(1e6)
end
t = task.spawn(forever) task.yield()
"last"
]]
    assert.same({ "last\nclosed\n", 0 }, { text, status })
  end)

  it("raises an error in what waits for something that cannot happen", function()
    local text = piped "require 'lariat.core'.task.condition():wait()\n'on'\n"
    assert.truthy(text:find("^stdin:1: deadlock"))
    assert.truthy(text:find("\non\n$"))
  end)

  it("interrupts what runs at SIGINT, and ends by it between two lines", function()
    local child <close> = assert(lariat.run { LARIAT, "-i", stdin = "pipe", stderr = "stdout" })
    assert(child.stdin:send "print 'begun' while true do end\n")
    assert.truthy(child.stdout:receiveuntil "\nbegun\n")
    child:kill "INT"
    assert.truthy(child.stdout:receiveuntil "interrupted!\nstack traceback:")
    assert(child.stdin:send "'on'\n")
    assert.truthy(child.stdout:receiveuntil "\non\n")
    child:kill "INT"
    assert.same({ "signal", "INT" }, { child:wait() })
  end)

  it("ends with the status given to os.exit", function()
    assert.same({ "", 3 }, { piped "os.exit(3)\nprint 'not reached'\n" })
  end)
end)

describe("a session at a terminal", function()
  it("prompts, shows results, and ends with Ctrl-D", function()
    local t <close> = session()
    t:type "6 * 7\n"
    t:expect "\n42\n> "
    t:type "\4"
    assert.same({ "\n", 0 }, { t:finish() })
  end)

  it("begins without being asked for where there is no script", function()
    local t <close> = at_terminal(LARIAT)
    t:expect "\n> "
    t:type "\4"
    assert.same({ "\n", 0 }, { t:finish() })
  end)

  it("begins after -l and -W alone", function()
    for _, switch in ipairs { "-l socket", "-W" } do
      local t <close> = at_terminal(LARIAT .. " " .. switch)
      t:expect "\n> "
      t:type "socket ~= nil\n"
      t:expect(switch == "-W" and "\nfalse\n> " or "\ntrue\n> ")
    end
  end)

  it("ends with status 0 after errors of tasks in the background", function()
    local t <close> = session()
    t:type "require 'lariat.task'.spawn(error, 'oops') return\n"
    t:expect "spawn traceback:\n\tstdin:1\n> "
    t:type "\4"
    assert.same({ "\n", 0 }, { t:finish() })
  end)

  it("goes on as before when Ctrl-D has ended an incomplete statement", function()
    local t <close> = at_terminal(LARIAT .. " -i", { TERM = "xterm" })
    t:expect "> "
    local function enter(line)
      t:type(line .. "\n")
      return (t:expect "> ":gsub("\27%[%?2004[hl]", ""):gsub("^" .. line .. "\n", ""))
    end
    local before = enter "1 + 1"
    enter "for i = 1, 2 do"
    t:type "\4"
    t:expect "'end' expected near <eof>\n"
    t:expect "> "
    assert.equal(before, enter "1 + 1")
    assert.equal("", enter "")
  end)

  it("asks for the rest of an incomplete statement with another prompt", function()
    local t <close> = session()
    t:type "for i = 1, 2 do\n"
    t:expect "\n>> "
    t:type "print('line', i) end\n"
    t:expect "\nline\t1\nline\t2\n> "
  end)

  it("asks with _PROMPT and _PROMPT2", function()
    local t <close> = session()
    t:type "_PROMPT, _PROMPT2 = 'ready? ', 'more? '\n"
    t:expect "\nready? "
    t:type "return (\n"
    t:expect "\nmore? "
    t:type "1)\n"
    t:expect "\n1\nready? "
  end)

  it("shows an error and goes on", function()
    local t <close> = session()
    t:type "nothing.at.all\n"
    t:expect "\nstdin:1: attempt to index a nil value (global 'nothing')\nstack traceback:"
    t:expect "\n> "
    t:type "'still here'\n"
    t:expect "\nstill here\n> "
  end)

  it("lets other tasks go on while it waits, and keeps what was typed", function()
    local t <close> = session()
    t:type "task = require 'lariat.task' gate = task.spawn\n"
    t:expect "\n> "
    t:type ("ticker = task.spawn(function() for i = 1, 3 do task.sleep(0.01) print('tick', i) end "
      .. "io.write 'half' end)\n")
    t:type "'ty"
    t:expect "tick\t1\n"
    t:expect "tick\t3\n"
    t:expect "half\n> 'ty"
    t:type "ped'\n"
    t:expect "\ntyped\n> "
  end)

  it("shows the error of a task nobody joins, and the line again", function()
    local t <close> = session()
    t:type "task = require 'lariat.task'\n"
    t:expect "\n> "
    t:type "task.spawn(function() task.sleep(0.01) error 'oops' end) return\n"
    t:expect "lariat: error in task stdin:1 (spawned at stdin:1): stdin:1: oops\nstack traceback:"
    t:expect "\n> "
  end)

  it("serves connections while it waits, and receives at the prompt", function()
    local port, server <close> = net.server(function(conn)
      conn:send(conn:receive() .. "!\n")
    end)
    local t <close> = session()
    t:type(("conn = require 'socket'.connect('127.0.0.1', %d)\n"):format(port))
    t:expect "\n> "
    t:type "(conn:send 'ping\\n')\n"
    t:expect "\n5\n> "
    t:type "(conn:receive())\n"
    t:expect "\nping!\n> "
    assert.truthy(server)
  end)

  it("drops the line at Ctrl-C", function()
    local t <close> = session()
    t:type "print 'not thi"
    t:expect "not thi"
    t:type "\3"
    t:expect "^C\n> "
    t:type "1 + 1\n"
    assert.equal("1 + 1", t:expect "\n2\n> ")
  end)

  it("drops the whole of an incomplete statement at Ctrl-C", function()
    local t <close> = session()
    t:type "for i = 1, 2 do\n"
    t:expect "\n>> "
    t:type "\3"
    t:expect "^C\n> "
    t:type "'whole'\n"
    t:expect "\nwhole\n> "
  end)

  it("interrupts a loop that does not end", function()
    local t <close> = session()
    t:type "print 'begun' while true do end\n"
    t:expect "\nbegun\n"
    t:type "\3"
    t:expect "interrupted!\nstack traceback:"
    t:expect "\n> "
    t:type "'free'\n"
    t:expect "\nfree\n> "
  end)

  it("interrupts a wait and leaves the other tasks alone", function()
    local t <close> = session()
    t:type "task = require 'lariat.task'\n"
    t:expect "\n> "
    t:type "other = task.spawn(task.sleep, 1e6)\n"
    t:expect "\n> "
    t:type "print 'begun' task.sleep(1e6)\n"
    t:expect "\nbegun\n"
    t:type "\3"
    t:expect "interrupted!\nstack traceback:"
    t:expect "\n> "
    t:type "other:status()\n"
    t:expect "\nwaiting\n> "
  end)

  it("completes names of globals, fields and methods", function()
    local t <close> = session()
    t:type "string.revers\t('abc')\n"
    t:expect "\ncba\n> "
    t:type "file = io.stdout\n"
    t:expect "\n> "
    t:type "string.reverse\t('abc')\n"
    t:expect "string.reverse('abc')" -- no space
    t:expect "\n> "
    t:type "file:setv\t'no', tost\t(12)\n"
    t:expect "\n> "
    t:type "unknown_global.fie\t\n"
    t:expect "attempt to index a nil value (global 'unknown_global')"
  end)

  it("remembers lines from one session to the next", function()
    local path = os.tmpname()
    local first <close> = session { LARIAT_HISTORY = path }
    first:type "'of yesterday'\n"
    first:expect "\nof yesterday\n> "
    first:type "for i = 1, 1 do\n"
    first:expect "\n>> "
    first:type "print 'several lines' end\n"
    first:expect "\nseveral lines\n> "
    first:type "\4"
    first:finish()
    local second <close> = session { LARIAT_HISTORY = path }
    second:type "\16\n" -- Ctrl-P: the line before
    second:expect "\nseveral lines\n> "
    second:type "\16\16\n"
    second:expect "\nof yesterday\n> "
    os.remove(path)
  end)

  it("works where the history cannot be written", function()
    local t <close> = session { LARIAT_HISTORY = "/nonexistent/history" }
    t:type "'fine'\n"
    t:expect "\nfine\n> "
  end)

  it("dies by SIGTERM, running <close> variables", function()
    local t <close> = session()
    t:type "task = require 'lariat.task' pid = io.open '/proc/self/stat':read 'n'\n"
    t:expect "\n> "
    t:type ("task.spawn(function() local c <close> = setmetatable({}, { __close = function() "
      .. "print 'clo\\x73ed' end }) task.sleep(1e6) end) print(pid)\n")
    local pid = t:expect "\n> ":match "\n(%d+)$"
    assert(lariat.run { "kill", pid }):wait()
    t:expect "closed\n"
    assert.equal(128 + 15, select(2, t:finish()))
  end)
end)

describe("the terminal of a session", function()
  -- A shell at the terminal, in which the program is a job.
  local function shell()
    local t = at_terminal "sh -i"
    t:type "PS1=; PS2=; echo sta''rted\n"
    t:expect "started\n"
    return t
  end

  -- The settings of the terminal, between marks that are not echoed as typed.
  local function settings(t)
    t:type "echo ''[; stty -a; echo ]''\n"
    t:expect "\n[\n"
    return (t:expect "\n]\n")
  end

  local function start(t)
    t:type(LARIAT .. " -i\n")
    t:expect "\n> "
  end

  it("is as it was after Ctrl-D", function()
    local t <close> = shell()
    local before = settings(t)
    start(t)
    t:type "\4"
    assert.equal(before, settings(t))
  end)

  it("is as it was after os.exit in a task while a line is typed", function()
    local t <close> = shell()
    local before = settings(t)
    start(t)
    t:type "task = require 'lariat.task'\n"
    t:expect "\n> "
    t:type "task.spawn(function() task.sleep(0.01) print 'lea\\x76ing' os.exit(4) end) return\n"
    t:expect "leaving\n"
    t:type "echo sta''tus $?\n"
    t:expect "status 4"
    assert.equal(before, settings(t))
  end)

  it("is as it was while a line runs, and not while one is typed", function()
    local t <close> = shell()
    local before = settings(t)
    start(t)
    t:type "os.execute \"echo ''[; stty -a; echo ]''\" return 1\n"
    t:expect "\n[\n"
    assert.equal(before, (t:expect "\n]\n"))
    t:expect "\n> "
    t:type ("require 'lariat.task'.spawn(function() require 'lariat.task'.sleep(0.01) "
      .. "os.execute \"echo; echo ''[; stty -a; echo ]''\" end) return 1\n")
    t:expect "\n[\n"
    assert.truthy(t:expect("\n]\n"):find("-icanon", 1, true))
  end)

  it("is as it was after Ctrl-Z, and the line goes on after fg", function()
    local t <close> = shell()
    local before = settings(t)
    start(t)
    t:type "'typ"
    t:expect "'typ"
    t:type "\26"
    t:expect "Stopped"
    assert.equal(before, settings(t))
    t:type "fg\n"
    t:expect "> 'typ"
    t:type "ed'\n"
    t:expect "\ntyped\n> "
  end)

  it("is as it was after Ctrl-\\ has ended the session while a line was typed", function()
    local t <close> = shell()
    t:type "ulimit -c 0\n"
    local before = settings(t)
    start(t)
    t:type "'typ"
    t:expect "'typ"
    t:type "\28"
    t:expect "Quit"
    assert.equal(before, settings(t))
  end)
end)
