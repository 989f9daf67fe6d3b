-- SPDX-License-Identifier: MIT
--
-- `lariat --test`: busted inside the host, on small spec files written for each test.

local run = require "spec.support.program"
local task = require "lariat.task"

-- Runs a spec file with this content; what was printed, the exit status, and the errors printed.
local function test_with(arguments, content)
  local spec <close> = run.file(content, "_spec.lua")
  local all = { "--test" }
  table.move(arguments, 1, #arguments, #all + 1, all)
  table.insert(all, spec.path)
  local out, err, status = run.lariat(all)
  return out, status, err
end

local function test(content, ...)
  return test_with({ "-o", "plainTerminal", ... }, content)
end

describe("lariat --test", function()
  it("passes specs that do network I/O in every kind of body", function()
    local out, status = test [[
      local socket = require "socket"
      local task = require "lariat.task"
      describe("network", function()
        local server = assert(socket.bind("127.0.0.1", 0))
        local _, port = server:getsockname()
        local looked_up = assert(socket.dns.toip "localhost")
        local conn, client
        setup(function() task.sleep(0.001) end)
        before_each(function()
          client = assert(socket.connect("127.0.0.1", port))
          conn = assert(server:accept())
        end)
        after_each(function()
          client:close()
          assert(not conn:receive())
          conn:close()
        end)
        teardown(function() task.yield() server:close() end)
        it("works", function()
          local t = task.spawn(function() conn:send(conn:receive() .. "\n") end)
          client:send "hello\n"
          assert.equal("hello", client:receive())
          t:join()
        end)
        it("catches errors", function()
          assert.has_error(function() task.yield() error "x" end)
          assert.equal("127.0.0.1", looked_up)
        end)
      end)
    ]]
    assert.matches("2 successes / 0 failures / 0 errors", out)
    assert.equal(0, status)
  end)

  it("counts failures and errors in its exit status and shows where they were", function()
    local out, status = test [[
      local task = require "lariat.task"
      it("passes", function() end)
      it("fails", function() task.yield() assert.equal(1, 2) end)
      it("raises", function() task.yield() error "on purpose" end)
      it("raises a table", function() error {} end)
      pending("is pending")
    ]]
    assert.matches("1 success / 1 failure / 2 errors / 1 pending", out)
    assert.matches("Failure %-> [^\n]*@ 3\nfails", out)
    assert.matches("Error %-> [^\n]*@ 4\nraises", out)
    assert.matches(":4: on purpose", out)
    assert.equal(1, status)
  end)

  it("fails on a spec file that makes no sense, or is missing", function()
    local out, status = test "it('x', function( end)"
    assert.matches("0 successes / 0 failures / 1 error", out)
    assert.equal(1, status)
    local _, err
    _, err, status = run.lariat { "--test", "/no/such/spec.lua" }
    assert.not_equal(0, status)
    assert.is_string(err)
  end)

  it("fails at once a test that waits on nothing that can happen", function()
    local out, status = test [[
      local task = require "lariat.task"
      it("waits for ever", function()
        local one, other
        one = task.spawn(function() task.yield() other:join() end)
        other = task.spawn(function() one:join() end)
        other:join()
      end)
      it("goes on", function() end)
    ]]
    assert.matches("1 success / 0 failures / 1 error", out)
    assert.matches("deadlock", out)
    assert.matches("waits for ever", out)
    assert.equal(1, status)
  end)

  it("stops at a signal, and tells of what has run", function()
    local spec <close> = run.file([[
      it("one", function() end)
      it("two", function()
        io.stderr:write "ready\n"
        require "lariat.task".sleep(1000)
      end)
      it("three", function() require "lariat.task".sleep(1000) end)
    ]], "_spec.lua")
    local child <close> = run.start { "--test", "-o", "plainTerminal", spec.path }
    assert.equal("ready", child.stderr:receive())
    child:kill "TERM"
    assert.matches("1 success / 0 failures / 1 error / 0 pending", child.stdout:receive "*a")
    assert.same({ "signal", "TERM" }, { child:wait() })
  end)

  it("stops a test at its time limit, whatever it does", function()
    for _, body in ipairs {
      "task.sleep(1000)",
      "while true do end",
      "while true do task.yield() end",
      "pcall(function() while true do end end) while true do end",
      "coroutine.wrap(function() while true do end end)()",
      "require 'socket'.bind('127.0.0.1', 0):accept()",
    } do
      local out, status = test(([[
        local task = require "lariat.task"
        it("takes long", function() %s end)
        it("goes on", function() task.sleep(0.001) end)
      ]]):format(body), "--timeout=0.2")
      assert.matches("1 success / 0 failures / 1 error", out)
      assert.matches("test exceeded its time limit of 0.2 s", out)
      assert.equal(1, status)
    end
  end)

  it("names the script's line for a limit or a deadlock that ends a channel's wait", function()
    local out = test([[
      local task = require "lariat.task"
      it("times out", function()
        task.timeout(1000, function() task.channel():receive() end)
      end)
      it("cannot go on", function()
        task.channel():receive()
      end)
    ]], "--timeout=0.2")
    assert.matches("_spec.lua:3: test exceeded its time limit", out)
    assert.matches("_spec.lua:6: deadlock", out)
  end)

  it("takes the limit in two words, off with 0, and refuses what is no number", function()
    local slow = "it('x', function() require 'lariat.task'.sleep(0.05) end)"
    local out, status = test_with({ "--timeout", "0.01" }, slow)
    assert.matches("exceeded its time limit", out)
    assert.equal(1, status)
    out, status = test_with({ "--timeout=0" }, slow)
    assert.matches("1 success", out)
    assert.equal(0, status)
    for _, arguments in ipairs { { "--timeout=x" }, { "--timeout=-1" }, { "--timeout=" } } do
      local _, err
      _, status, err = test_with(arguments, slow)
      assert.equal(2, status)
      assert.matches("^lariat: %-%-timeout: seconds expected", err)
    end
  end)

  it("writes TAP", function()
    local out, status = test_with({ "-o", "TAP" }, [[
      it("passes", function() end)
      it("fails", function() assert.is_true(false) end)
    ]])
    assert.matches("1%.%.2", out)
    assert.matches("\nok 1 %- passes", "\n" .. out)
    assert.matches("\nnot ok 2 %- fails", out)
    assert.equal(1, status)
  end)

  it("writes JUnit's XML to a file", function()
    local report <close> = run.file ""
    local _, status = test_with({ "-o", "junit", "-Xoutput", report.path }, [[
      it("passes", function() end)
      it("fails", function() assert.is_true(false) end)
    ]])
    assert.equal(1, status)
    local file <close> = assert(io.open(report.path))
    local xml = file:read "a"
    assert.matches("<testsuite", xml)
    assert.matches("<testsuite [^>]*failures=['\"]1['\"]", xml)
    assert.matches("<testcase [^>]*name=['\"]passes['\"]", xml)
  end)

  it("takes busted's own options", function()
    local content = [[
      it("one #fast", function() end)
      it("two", function() error "not run" end)
    ]]
    local out, status = test(content, "--tags=fast")
    assert.matches("1 success / 0 failures / 0 errors", out)
    assert.equal(0, status)
    out, status = test(content, "--filter=one")
    assert.matches("1 success", out)
    assert.equal(0, status)
    out = test_with({ "--list" }, content)
    assert.matches("one", out)
    out, status = test(content, "--repeat=2", "--filter=one")
    assert.matches("success", out)
    assert.equal(0, status)
  end)

  it("ends although a test has left a task behind", function()
    local out, status = test [[
      it("leaves a task", function()
        require "lariat.task".spawn(function() require "lariat.task".sleep(1000) end)
        require "lariat.task".yield()
      end)
    ]]
    assert.matches("success", out)
    assert.equal("integer", math.type(status))
  end)

  it("takes no other interpreter, whatever .busted says", function()
    local config <close> = run.file [[return { default = { lua = "/no/such/interpreter" } }]]
    local out, status = test("it('runs', function() assert.truthy(require 'lariat') end)", "-f",
      config.path)
    assert.matches("1 success / 0 failures / 0 errors", out)
    assert.equal(0, status)
    out, status = test("it('runs', function() assert.equal('--lua=x', arg[3]) end)", "--lua=x")
    assert.matches("1 success / 0 failures / 0 errors", out)
    assert.equal(0, status)
  end)

  it("has in `arg` what busted under `lua` has: the interpreter, busted, its arguments", function()
    local out, status = test([[
      it("starts this interpreter, from anywhere", function()
        local first = 0
        while arg[first - 1] do first = first - 1 end
        assert.equal(-1, first)
        local script = "print(require 'lariat'.version)"
        local output = assert(io.popen(("cd / && '%s' -e \"%s\""):format(arg[first], script)))
        assert.equal(require "lariat".version .. "\n", output:read "a")
      end)
      it("names busted, and no option of lariat's", function()
        assert.matches("busted$", arg[0])
        assert.same({ "-o", "plainTerminal" }, { arg[1], arg[2] })
        assert.matches("_spec.lua$", arg[3])
        assert.is_nil(arg[4])
      end)
    ]], "--timeout=60", "--allow-leaks")
    assert.matches("2 successes / 0 failures / 0 errors", out)
    assert.equal(0, status)
  end)

  describe("names a test that cannot be stopped, and tells what came before it,", function()
    local function run_it(body, ...)
      return test_with({ "--timeout=0.2", ... }, ([[
        it("passes", function() end)
        it("fails", function() assert.equal("this", "that") end)
        describe("a block", function()
          it("goes on", function() %s end)
        end)
        it("is not run", function() end)
      ]]):format(body))
    end

    for what, body in pairs {
      ["that computes"] = "while true do pcall(function() while true do end end) end",
      ["that waits"] = "while true do pcall(require 'lariat.task'.sleep, 1000) end",
    } do
      it(what, function()
        local report <close> = run.file ""
        local junit = task.spawn(run_it, body, "-o", "junit", "-Xoutput", report.path)
        local out, status = run_it(body, "-o", "plainTerminal")
        assert.matches("1 success / 1 failure / 1 error / 0 pending", out)
        assert.matches("\nfails\n", out)
        assert.matches("_spec.lua @ 4\na block goes on\n" ..
          "test exceeded its time limit of 0.2 s, and could not be stopped\n", out)
        assert.equal(1, status)
        assert.equal(1, select(2, junit:join()))
        local file <close> = assert(io.open(report.path))
        assert.matches("</testsuites?>%s*$", file:read "a")
      end)
    end

    it("in a function written in C", function()
      -- A slow machine must have begun the call when the limit passes.
      local _, status, err = run_it("(('a'):rep(1e6)):find(('.-'):rep(20) .. 'b')", "-o", "TAP",
        "--timeout=2")
      assert.matches("\nlariat: test exceeded its time limit of 2 s, " ..
        "and could not be stopped: [^\n]*_spec.lua:4: a block goes on\n" ..
        "before it: 1 successes, 1 failures, 0 errors, 0 pending\n\nfails:\n", err)
      assert.matches("that", err)
      assert.equal(1, status)
    end)
  end)

  it("fails if a task fails that is no test's", function()
    local out, status = test [[
      require "lariat.task".spawn(error, "outside")
      require "lariat.task".yield()
      it("passes", function() end)
    ]]
    assert.matches("1 success", out)
    assert.equal(1, status)
  end)
end)
