-- SPDX-License-Identifier: MIT
--
-- `lariat --test` finds what a test leaves behind, and what fails in its background.

local run = require "spec.support.program"

local HEAD = [[
  local lariat, socket = require "lariat", require "socket"
  local task, test = require "lariat.task", require "lariat.test"
  local kept = {}
]]

-- Runs a spec file with this content behind three lines of its own.
local function test_with(content, ...)
  local spec <close> = run.file(HEAD .. content, "_spec.lua")
  local out, err, status = run.lariat { "--test", "-o", "plainTerminal", spec.path, ... }
  return out:gsub(spec.path:gsub("%W", "%%%0"), "script"), status, err
end

local function passes(content, ...)
  local out, status = test_with(content, ...)
  assert.matches("0 failures / 0 errors", out)
  assert.equal(0, status)
end

describe("a test that leaves behind", function()
  for what, content in pairs {
    ["socket udp{unconnected} 0.0.0.0:0, made at script:4"] = "kept[1] = socket.udp4()",
    ["task script:4 (spawned at script:4) waits in sleep at script:4"] =
      "task.spawn(function() task.sleep(1000) end)",
    ["task napping (spawned at script:4)"] = "task.spawn({ name = 'napping' }, task.sleep, 1000)",
    ["process sleep (pid "] = "kept[1] = lariat.run { 'sleep', '1000' }",
    ["), started at script:4"] = "kept[1] = lariat.run { 'sleep', '1000' }",
    ["socket tcp{server} 127.0.0.1:"] = "kept[1] = socket.bind('127.0.0.1', 0)",
  } do
    it("something like '" .. what .. "' fails, and names it", function()
      local body = "it('leaves it', function() " .. content .. " end) it('goes on', function() end)"
      local out, status = test_with(body)
      assert.matches("1 success / 1 failure / 0 errors", out)
      assert.matches("Failure %-> script @ 4\nleaves it\nleft behind:\n", out)
      assert.matches("\n(lariat --test --allow-leaks lets tests do that)\n", out, 1, true)
      assert.matches(what, out, 1, true)
      assert.equal(1, status)
      passes(body, "--allow-leaks")
    end)
  end

  it("what is garbage passes, but not with --strict-leaks", function()
    local body = "it('forgets it', function() socket.udp4() end)"
    passes(body)
    local out, status = test_with(body, "--strict-leaks")
    assert.matches("socket udp", out)
    assert.equal(1, status)
  end)

  it("what ends by itself at once passes", function()
    passes [[
      it("ends", function()
        local a, b = test.pair()
        task.spawn(function() a:receive() end)
        task.spawn(function() for _ = 1, 10 do task.yield() end end)
        b:close()
      end)]]
  end)

  it("what its after_each or finally ends passes, what before_each left open does not", function()
    passes [[local sock
      before_each(function() kept.before = socket.udp4() end)
      after_each(function() sock:close() kept.before:close() end)
      it("opens one", function() sock = socket.udp4() end)
      it("opens two", function()
        sock = socket.udp4()
        local other = socket.udp4()
        finally(function() other:close() end)
        kept.other = other
      end)]]
    local out = test_with [[
      before_each(function() kept[1] = socket.udp4() end)
      it("does nothing", function() end)]]
    local named = "left behind:\n  socket udp{unconnected} 0.0.0.0:0, made at script:4"
    assert.matches(named, out, 1, true)
  end)
end)

describe("a setup", function()
  it("may start what its teardown ends, and what that makes for tests is not theirs", function()
    for first, last in pairs { setup = "teardown", lazy_setup = "lazy_teardown" } do
      passes(([[
        describe("served", function()
          local server, serving, port
          %s(function()
            server = assert(socket.bind("127.0.0.1", 0))
            port = select(2, server:getsockname())
            serving = task.spawn(server.serve, server, function(conn) conn:receive() end)
          end)
          %s(function()
            kept[1]:close()
            server:close()
            serving:join()
          end)
          it("is connected", function()
            local conn = assert(socket.connect("127.0.0.1", port))
            kept.accepted = true
            conn:close()
          end)
          it("goes on", function() kept[1] = socket.udp4() kept[1]:close() end)
        end)]]):format(first, last))
    end
  end)

  it("that leaves something behind its teardown is an error of its block", function()
    local out, status = test_with [[
      describe("block", function()
        setup(function() kept[1] = socket.udp4() end)
        it("passes", function() end)
      end)]]
    assert.matches("1 success / 0 failures / 1 error", out)
    assert.matches("block\nleft behind:\n  socket udp", out)
    assert.equal(1, status)
  end)

  it("is what test.serve lasts as long as, if it is called there", function()
    passes [[
      describe("served", function()
        local server
        setup(function() server = test.serve(function(conn) conn:send(conn:receive "*L") end) end)
        for i = 1, 2 do
          it("answers " .. i, function()
            local conn = server:connect()
            conn:send "x\n"
            assert.equal("x", conn:receive())
          end)
        end
      end)]]
  end)
end)

describe("an error in the background", function()
  it("fails the test in which it comes", function()
    for _, content in ipairs {
      "task.spawn(error, 'boom', 0) task.yield() task.yield()",
      "task.spawn(error, 'boom', 0)",
      [[local server = test.serve(function() error "boom" end)
        server:connect():receive()]],
    } do
      local out, status = test_with(("it('fails', function() %s end)"):format(content))
      assert.matches("0 successes / 1 failure / 0 errors", out)
      assert.matches("error in [^\n]*: [^\n]*boom\nstack traceback:", out)
      assert.not_equal(0, status)
    end
  end)

  it("fails none if the test joins it, or has an onerror of its own", function()
    passes [[
      it("joins", function()
        local t = task.spawn(error, "boom", 0)
        task.yield()
        assert.is_false((pcall(t.join, t)))
      end)
      it("expects it", function()
        local got
        local before = lariat.onerror(function(err) got = err end)
        local t = task.spawn(error, "boom", 0)
        task.yield()
        lariat.onerror(before)
        assert.equal("boom", got)
        pcall(t.join, t)
      end)]]
  end)

  it("is told of a test that fails anyway", function()
    local out, _, err = test_with [[
      it("fails", function()
        task.spawn(error, "boom", 0)
        task.yield()
        assert.is_true(false)
      end)]]
    assert.matches("0 successes / 1 failure / 0 errors", out)
    assert.matches("in a test that failed anyway: error in task .*boom", err)
  end)
end)

describe("a test that waits on nothing", function()
  it("fails with a line for each task", function()
    local out = test_with [[
      it("waits", function()
        task.channel():receive()
      end)]]
    assert.matches("deadlock: [^\n]*\n  task main [^\n]*waits in channel receive at script:5", out)
  end)
end)
