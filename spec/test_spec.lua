-- SPDX-License-Identifier: MIT
--
-- lariat.test: pairs, servers and eventually.

local task = require "lariat.task"
local test = require "lariat.test"

local function echo(conn)
  for line in conn:lines "L" do conn:send(line) end
end

describe("test.pair", function()
  for _, family in ipairs { "inet", "inet6", "unix" } do
    it("connects two sockets of family " .. family, function()
      local a, b = test.pair(family)
      a:send "to b\n"
      b:send "to a\n"
      assert.same({ "to a", "to b" }, { a:receive(), b:receive() })
    end)
  end

  it("refuses other families", function()
    assert.error_matches(function() test.pair "ipx" end, "bad argument #1 to 'pair'")
  end)

  local before
  it("closes both", function() before = { test.pair() } end)
  it("at the end of the test", function()
    for _, sock in ipairs(before) do assert.equal(-1, sock:getfd()) end
  end)
end)

describe("test.serve", function()
  local before
  for _, family in ipairs { "inet", "inet6", "unix" } do
    it("serves connections of family " .. family, function()
      local server = test.serve(echo, { family = family })
      for _ = 1, 3 do
        local conn = server:connect()
        conn:send "hi\n"
        assert.equal("hi", conn:receive())
      end
      before = server
    end)
    it("until the end of the test", function()
      assert.not_equal("waiting", before.task:status())
      assert.equal(-1, before.server:getfd())
    end)
  end

  it("can be closed before, with handlers that wait", function()
    local server <close> = test.serve(echo)
    local conn = server:connect()
    conn:send "hi\n"
    conn:receive()
    server:close()
    assert.same({ nil, "closed", "" }, { conn:receive() })
  end)

  it("needs a handler", function()
    assert.error_matches(function() test.serve() end, "function expected, got nil")
  end)
end)

describe("test.eventually", function()
  it("returns what comes true, while others run", function()
    local n = 0
    local t = task.spawn(function() for _ = 1, 20 do task.yield() n = n + 1 end end)
    assert.equal(20, test.eventually(function() return n == 20 and n end))
    t:join()
  end)

  it("takes an error for not yet, and raises the last one", function()
    local n = 0
    test.eventually(function() n = n + 1 assert(n == 3) return true end)
    assert.equal(3, n)
    assert.error_matches(function()
      test.eventually(function() error("the last", 0) end, 0.005)
    end, "^the last$")
    assert.error_matches(function()
      test.eventually(function() return false end, 0)
    end, "^eventually: it has not come true$")
  end)

  it("is left by a cancellation", function()
    local t = task.spawn(test.eventually, function() task.sleep(1000) end)
    task.yield()
    t:cancel()
    assert.same({ nil, "cancelled" }, { t:join() })
  end)
end)
