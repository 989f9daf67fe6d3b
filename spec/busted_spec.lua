-- SPDX-License-Identifier: MIT
--
-- `lariat --test`: busted inside the host, on small spec files written for each test.

local run = require "spec.support.program"

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
