-- SPDX-License-Identifier: MIT
--
-- lariat.defer: a function as a `<close>` variable.

local lariat = require "lariat"
local misuse = require "spec.support.misuse"
local task = require "lariat.task"

-- What f was called with, each time: a list of lists.
local function recorder()
  local calls = {}
  return calls, function(...) calls[#calls + 1] = { n = select("#", ...), ... } end
end

describe("a deferred function", function()
  it("is called with nil when the block is left: at its end, by return, break and goto", function()
    local calls, f = recorder()
    do
      local _ <close> = lariat.defer(f)
      assert.same({}, calls)
    end
    assert.same({ { n = 1 } }, calls)
    local function returns()
      local _ <close> = lariat.defer(f)
      return "result"
    end
    assert.equal("result", (returns()))
    for i = 1, 2 do
      local _ <close> = lariat.defer(f)
      if i == 1 then break end
    end
    do
      local _ <close> = lariat.defer(f)
      goto out
    end
    ::out::
    assert.equal(4, #calls)
  end)

  it("is called with the error that ends the block, which goes on", function()
    local calls, f = recorder()
    local problem = {}
    local ok, err = pcall(function()
      local _ <close> = lariat.defer(f)
      error(problem)
    end)
    assert.same({ false, true }, { ok, rawequal(err, problem) })
    assert.same({ { n = 1, problem } }, calls)
  end)

  it("is called in the reverse order of others", function()
    local order = {}
    do
      local _ <close> = lariat.defer(function() order[#order + 1] = "first" end)
      local _ <close> = lariat.defer(function() order[#order + 1] = "second" end)
    end
    assert.same({ "second", "first" }, order)
  end)

  it("replaces the error by its own, as __close does", function()
    local ok, err = pcall(function()
      local _ <close> = lariat.defer(function() error("of the deferred", 0) end)
      error("of the block", 0)
    end)
    assert.same({ false, "of the deferred" }, { ok, err })
    ok, err = pcall(function()
      local _ <close> = lariat.defer(function() error("of the deferred", 0) end)
    end)
    assert.same({ false, "of the deferred" }, { ok, err })
  end)

  it("may wait, and suspends its task only", function()
    local event, order = task.event(), {}
    local waiter = task.spawn(function()
      do
        local _ <close> = lariat.defer(function() event:wait() order[#order + 1] = "deferred" end)
      end
      order[#order + 1] = "after"
    end)
    task.yield()
    order[#order + 1] = "meanwhile"
    event:set()
    waiter:join()
    assert.same({ "meanwhile", "deferred", "after" }, order)
  end)

  it("is called with task.cancelled when its task is cancelled", function()
    local calls, f = recorder()
    local t = task.spawn(function()
      local _ <close> = lariat.defer(f)
      task.sleep(1e6)
    end)
    task.yield()
    t:cancel()
    t:join()
    assert.equal(1, #calls)
    assert.is_true(rawequal(calls[1][1], task.cancelled))
  end)

  it("is called once, however many variables hold it, and also if it fails", function()
    local calls, f = recorder()
    local deferred = lariat.defer(f)
    do
      local _ <close> = deferred
      local _ <close> = deferred
    end
    do local _ <close> = deferred end
    assert.equal(1, #calls)
    local count = 0
    local failing = lariat.defer(function() count = count + 1 error "fails" end)
    for _ = 1, 2 do pcall(function() local _ <close> = failing end) end
    assert.equal(1, count)
  end)

  it("is not called where no variable is closed", function()
    local calls, f = recorder()
    lariat.defer(f)
    collectgarbage()
    collectgarbage()
    assert.same({}, calls)
  end)

  it("may be an object that can be called", function()
    local calls, f = recorder()
    do local _ <close> = lariat.defer(setmetatable({}, { __call = f })) end
    assert.equal(1, #calls)
  end)

  it("is refused if it is no function", function()
    misuse.of(function() lariat.defer() end,
      "bad argument #1 to 'defer' (function expected, got nil)")
    misuse.of(function() lariat.defer {} end, "(function expected, got table)")
  end)
end)
