-- SPDX-License-Identifier: MIT
--
-- The program's command line, script arguments and exit statuses.

local lariat = require "lariat"
local run = require "spec.support.program"

local USAGE = 2

describe("the program", function()
  it("runs a script with its arguments in arg and ...", function()
    local script <close> = run.file [[
      print(#arg, arg[1], arg[2], ...)
      print(arg[0] == debug.getinfo(1, "S").source:sub(2))
      print(arg[-1] ~= nil, select("#", ...))
    ]]
    local out, err, status = run.lariat { script.path, "one", "-two" }
    assert.same({ "2\tone\t-two\tone\t-two\ntrue\ntrue\t2\n", "", 0 }, { out, err, status })
  end)

  it("skips a first line that begins with #!", function()
    local script <close> = run.file "#!/usr/bin/env lariat\nprint 'ran'\nerror 'here'"
    local out, err, status = run.lariat { script.path }
    assert.same({ "ran\n", 1 }, { out, status })
    assert.matches(":3: here", err)
  end)

  it("takes a script from standard input", function()
    for _, arguments in ipairs { {}, { "-" }, { "-", "argument" } } do
      local out, err, status = run.lariat(arguments, "print('from stdin', (...))")
      assert.equal("from stdin\t" .. (arguments[2] or "nil") .. "\n", out)
      assert.same({ "", 0 }, { err, status })
    end
  end)

  it("does -e, -l, -v, -W in their order", function()
    local out, err, status = run.lariat { "-e", "x = 1", "-ex = x + 1", "-e", "print(x)" }
    assert.same({ "2\n", "", 0 }, { out, err, status })
    out = run.lariat { "-l", "socket", "-e", "print(socket._VERSION)" }
    assert.matches("^LuaSocket", out)
    out = run.lariat { "-l", "s=socket", "-e", "print(s == require 'socket', socket)" }
    assert.equal("true\tnil\n", out)
    out = run.lariat { "-v" }
    assert.matches("^lariat %S+, Lua 5%.4", out)
    out, err = run.lariat { "-W", "-e", "warn 'watch out'" }
    assert.same({ "", "lariat: warning: watch out\n" }, { out, err })
    out, err = run.lariat { "-e", "warn 'watch out'" }
    assert.same({ "", "" }, { out, err })
  end)

  it("asks the environment, unless -E", function()
    local env = { LUA_INIT = "print 'init'" }
    assert.equal("init\nran\n", (run.lariat({ "-e", "print 'ran'" }, nil, env)))
    assert.equal("ran\n", (run.lariat({ "-E", "-e", "print 'ran'" }, nil, env)))
    env = { LUA_PATH = "/nowhere/?.lua" }
    local question = "print(package.path == '/nowhere/?.lua')"
    assert.equal("true\n", (run.lariat({ "-e", question }, nil, env)))
    assert.equal("false\n", (run.lariat({ "-E", "-e", question }, nil, env)))
    local script <close> = run.file "print 'init from a file'"
    assert.equal("init from a file\n",
      (run.lariat({ "-e", "" }, nil, { LUA_INIT_5_4 = "@" .. script.path, LUA_INIT = "error()" })))
  end)

  it("runs standard input after -l and -W alone", function()
    local out, err, status = run.lariat({ "-l", "socket" }, "print(socket._VERSION)")
    assert.same({ "LuaSocket 3.0.0\n", "", 0 }, { out, err, status })
    out, err, status = run.lariat({ "-W" }, "warn 'watch out'")
    assert.same({ "", "lariat: warning: watch out\n", 0 }, { out, err, status })
    assert.equal("", (run.lariat({ "-l", "socket", "-e", "x = 1" }, "print 'not read'")))
    assert.matches("^lariat [^\n]*\n$", (run.lariat({ "-W", "-v" }, "print 'not read'")))
  end)

  it("names the switch that a misspelt one is nearest to", function()
    for given, meant in pairs { ["--tset"] = "--test", ["--smi=4"] = "--sim", ["--hepl"] = "--help",
      ["--versoin"] = "--version" } do
      local _, err, status = run.lariat { given }
      assert.equal(USAGE, status)
      local text = ("lariat: no such option '%s': did you mean '%s'?\n"):format(
        given:match "^[^=]*", meant)
      assert.equal(text, err:sub(1, #text))
    end
    assert.matches("^lariat: no such option '%-x'\n", (select(2, run.lariat { "-x" })))
  end)

  it("says behind which switch another has its meaning", function()
    local why = { ["--timeout=5"] = "'--timeout' has a meaning only behind '--test'",
      ["--dump"] = "'--dump' has a meaning only behind '--wire'",
      ["--seed=3"] = "'--seed' has a meaning only behind '--test'; "
        .. "a script takes its seed from '--sim=SEED'" }
    for given, message in pairs(why) do
      local _, err, status = run.lariat { given, "script.lua" }
      assert.same({ "lariat: " .. message, USAGE }, { err:match "^[^\n]*", status })
    end
  end)

  it("tells a module of -l that there is not as the command line's mistake", function()
    local _, err, status = run.lariat { "-l", "there_is_none" }
    assert.matches("^lariat: %(command line%):1: module 'there_is_none' not found:\n", err)
    assert.equal(1, status)
  end)

  it("stops handling options at --", function()
    local script <close> = run.file "print(...)"
    assert.equal("-e\n", (run.lariat { "--", script.path, "-e" }))
  end)

  it("shows its help and its versions", function()
    local out, err, status = run.lariat { "--help" }
    assert.matches("usage: lariat", out)
    assert.same({ "", 0 }, { err, status })
    out, err, status = run.lariat { "--version" }
    assert.matches("^lariat %d+%.%d+%.%d+, Lua 5%.4%.%d+, libuv %d+%.%d+%.%d+\n$", out)
    assert.same({ "", 0 }, { err, status })
  end)

  it("refuses a command line that makes no sense, with status 2", function()
    for _, arguments in ipairs { { "-x" }, { "--nonsense" }, { "-e" }, { "-l" }, { "-l", "-e" },
      { "-vx" } } do
      local out, err, status = run.lariat(arguments)
      assert.same({ "", USAGE }, { out, status })
      assert.matches("^lariat: .*\nusage: lariat", err)
      assert.matches(arguments[1], err, 1, true)
    end
  end)

  it("says that a script is missing, is a directory, or makes no sense", function()
    local _, err, status = run.lariat { "/no/such/script.lua" }
    assert.equal(1, status)
    assert.matches("^lariat: [^\n]*/no/such/script%.lua", err)
    _, err, status = run.lariat { "/tmp" }
    assert.equal(1, status)
    assert.matches("^lariat: [^\n]*/tmp", err)
    local script <close> = run.file "print 'one'\nlocal = 2\n"
    _, err, status = run.lariat { script.path }
    assert.equal(1, status)
    assert.matches("^lariat: [^\n]*:2: [^\n]+\n$", err)
    _, err, status = run.lariat { "-e", "x =" }
    assert.equal(1, status)
    assert.matches("^lariat: %(command line%):1:", err)
    _, err, status = run.lariat { "-l", "no.such.module" }
    assert.equal(1, status)
    assert.matches("module 'no%.such%.module' not found", err)
  end)
end)

-- Runs a command of the shell, in which $L is lariat.
local function shell(command)
  local child <close> = assert(lariat.run { "sh", "-c", command, stderr = "stdout",
    env = { L = run.path } })
  local text = child.stdout:receive "*a" or ""
  return text, select(2, child:wait())
end

describe("too small a limit of descriptors", function()
  it("is told, with the limit and one that will do", function()
    for limit = 6, 9 do
      local text, status = shell(("ulimit -n %d; exec $L -e 'print(1)'"):format(limit))
      assert.equal(("lariat: cannot start: Too many open files: a limit of %d descriptors "
        .. "(ulimit -n) is too small, 16 will do\n"):format(limit), text)
      assert.equal(1, status)
    end
  end)

  it("is not the one that the message names", function()
    local text = shell [[ulimit -n 16; exec $L -e '
      local socket = require "socket"
      local server = assert(socket.bind("127.0.0.1", 0))
      print(socket.connect(server:getsockname()) ~= nil)']]
    assert.equal("true\n", text)
  end)
end)

describe("a program whose output nobody reads any more", function()
  -- `yes` is what a shell's user compares with.
  local function piped(writer)
    return (shell(("{ { %s; echo $? >&3; } | { read x; echo $x; }; } 3>&1"):format(writer)))
  end

  it("ends by SIGPIPE, quietly, whichever function it prints by", function()
    assert.equal("y\n141\n", piped "yes")
    for _, print in ipairs { "print 'y'", "io.write 'y\\n'", "io.stdout:write('y', '\\n')" } do
      assert.equal("y\n141\n", piped(([[$L -e "while true do %s end"]]):format(print)))
    end
  end)

  it("ends while a task prints and the others wait", function()
    assert.equal("y\n141\n", piped [[$L -e "
      local task = require 'lariat.task'
      task.spawn(task.sleep, 1e6)
      while true do print 'y' task.yield() end"]])
  end)

  it("runs <close> variables, and what they print is lost", function()
    assert.equal("y\nclosed\n141\n", piped [[$L -e "
      local c <close> = setmetatable({}, { __close = function()
        print 'lost'
        io.stderr:write 'closed\n'
      end })
      while true do print 'y' end" 2>&3]])
  end)

  it("goes on where a stream says so, or another pipe breaks that says so", function()
    assert.equal("y\nnil closed\nnil closed\n0\n", piped [[$L -e "
      local lariat = require 'lariat'
      local function tell(ok, message) io.stderr:write(tostring(ok), ' ', message, '\n') end
      local ok, message
      repeat ok, message = lariat.stdout:send 'y\n' until not ok
      tell(ok, message)
      local child = lariat.run { 'true', stdin = 'pipe' }
      child:wait()
      child.stdin:send 'x'
      tell(child.stdin:flush())" 2>&3]])
    assert.equal("nil\tBroken pipe\n", (shell [[$L -e "
      local to, ok, message = io.popen('true', 'w')
      to:setvbuf 'no'
      repeat ok, message = to:write(('x'):rep(1000)) until not ok
      print(ok, message)"]]))
  end)
end)

describe("the exit status", function()
  it("is what os.exit says", function()
    for code, status in pairs { ["0"] = 0, ["7"] = 7, ["true"] = 0, ["false"] = 1, [""] = 0,
      ["3, true"] = 3 } do
      local _, err, got = run.lariat { "-e", "os.exit(" .. code .. ") print 'unreached'" }
      assert.same({ "", status }, { err, got })
    end
  end)

  it("is 1 after an error of the script, with a full traceback", function()
    local script <close> = run.file [[
      local function inner() error "on purpose" end
      local function outer() inner() end
      outer()
    ]]
    local out, err, status = run.lariat { script.path }
    assert.same({ "", 1 }, { out, status })
    assert.matches("^lariat: [^\n]*:1: on purpose\nstack traceback:\n", err)
    assert.matches("in upvalue 'inner'.*in local 'outer'.*in main chunk", err)
  end)

  it("is 1 after an error that is no string", function()
    for value, shown in pairs { ["{}"] = "table", ["nil"] = "nil", ["42"] = "42",
      ["setmetatable({}, {__tostring = function() return 'my error' end})"] = "my error" } do
      local _, err, status = run.lariat { "-e", "error(" .. value .. ")" }
      assert.equal(1, status)
      assert.matches(shown, err)
    end
  end)

  it("is 1 after an error of a task nobody joins, which is reported at once", function()
    local script <close> = run.file [[
      local task = require "lariat.task"
      task.spawn(function() error "in a task" end)
      task.sleep(0.01)
      print "the script goes on"
    ]]
    local out, err, status = run.lariat { script.path }
    assert.same({ "the script goes on\n", 1 }, { out, status })
    assert.matches("^lariat: [^\n]*spawned at [^\n]*:2", err)
    assert.matches(":2: in a task\nstack traceback:", err)
  end)

  it("is 0 if a later join has taken the error", function()
    local out, err, status = run.lariat { "-e", [[
      local task = require "lariat.task"
      local t = task.spawn(function() error("taken", 0) end)
      task.yield() task.yield()
      print(pcall(t.join, t))
    ]] }
    assert.same({ "false\ttaken\n", 0 }, { out, status })
    assert.matches("taken", err)
  end)

  it("waits for every task", function()
    local out, _, status = run.lariat { "-e", [[
      local task = require "lariat.task"
      task.spawn(function()
        task.sleep(0.02)
        task.spawn(function() task.sleep(0.01) print "grandchild" end)
      end)
      print "main"
    ]] }
    assert.same({ "main\ngrandchild\n", 0 }, { out, status })
  end)

  it("is 1 after a deadlock, with every task and where it waits", function()
    local script <close> = run.file [[
      local task = require "lariat.task"
      local a, b
      a = task.spawn(function() b:join() end)
      b = task.spawn(function() a:join() end)
      print "before"
      a:join()
    ]]
    local out, err, status = run.lariat { script.path }
    assert.same({ "before\n", 1 }, { out, status })
    assert.matches("^lariat: deadlock: ", err)
    for _, line in ipairs { 3, 4, 6 } do assert.matches("waits in join at [^\n]*:" .. line, err) end
  end)

  it("flushes what was printed, also without a newline", function()
    for _, code in ipairs { "", "os.exit(0)", "error 'x'" } do
      assert.equal("partial", (run.lariat { "-e", "io.write 'partial' " .. code }))
    end
  end)
end)
