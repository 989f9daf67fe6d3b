-- SPDX-License-Identifier: MIT
--
-- The program's command line, script arguments and exit statuses.

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
