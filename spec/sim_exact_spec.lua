-- SPDX-License-Identifier: MIT
--
-- The exact state: the order of `pairs`, the addresses of objects and the moments at which garbage
-- is collected are the same in every process, and in a run whatever came before it.

local run = require "spec.support.program"
local test = require "lariat.test"

local SCALE = tonumber(os.getenv "SCALE") or 1

-- A script that names the module gets an exact state.
local MARK = "-- lariat.sim\n"

-- Prints the keys of a table of everything that can be a key, in the order of `pairs`.
local KEYS = [[
  local function keys()
    local t, text = {}, {}
    for i = 1, 40 do
      t["key " .. i], t[i * 1.5], t[-i] = 1, 1, 1
      t[{}], t[function() return i end], t[coroutine.create(print)] = 1, 1, 1
    end
    t[print], t[io.lines], t[("long key "):rep(9)], t[true] = 1, 1, 1, 1
    for k in pairs(t) do text[#text + 1] = tostring(k) end
    return table.concat(text, "\n")
  end
]]

-- Notes at which round each of some finalizers has run; the garbage is of every kind.
local FINALIZERS = [[
  local function finalizers(rounds)
    local round, noted, weak = 0, {}, setmetatable({}, { __mode = "k" })
    local function leave()
      setmetatable({}, { __gc = function()
        noted[#noted + 1] = round
        if round < rounds then leave() end
      end })
    end
    leave()
    local numbers = coroutine.wrap(function()
      for i = 1, math.huge do coroutine.yield { i, tostring(i), ("x"):rep(300) } end
    end)
    while round < rounds do
      round = round + 1
      weak[numbers()] = true
    end
    local left = 0
    for _ in pairs(weak) do left = left + 1 end
    return ("%s, %d left"):format(table.concat(noted, " "), left)
  end
]]

-- What some scripts print that differ only in what they do before a run begins.
local function outputs_after(histories, body)
  local outputs = {}
  for i, history in ipairs(histories) do
    local script <close> = run.file(MARK .. KEYS .. FINALIZERS .. history .. [[
      local exact = require "lariat.core".exact
      exact.begin()
    ]] .. body)
    local out, err, status = run.lariat { script.path }
    assert.same({ "", 0 }, { err, status })
    outputs[i] = out
  end
  return outputs
end

local HISTORIES = {
  "",
  "local kept = {} for i = 1, 3000 do kept[i] = { function() return i end } end",
  "for i = 1, 1000 do local dropped = { coroutine.create(print) } end",
  "local strings = {} for i = 1, 5000 do strings[i] = 'key ' .. i end",
  "finalizers(20000)",
}

local function assert_all_equal(outputs)
  for i = 2, #outputs do assert.equal(outputs[1], outputs[i]) end
end

describe("an exact state", function()
  it("shows every process the same order of keys and the same addresses", function()
    local script <close> = run.file(MARK .. KEYS .. "print(keys())")
    local first = run.lariat { script.path }
    assert.matches("table: 0x%x+", first)
    assert.matches("key 17\n", first)
    local second = os.time()
    test.eventually(function() return os.time() > second end) -- a seed is made of the time, too
    for _ = 1, math.max(30 // SCALE, 3) do
      local out, err, status = run.lariat { script.path }
      assert.same({ first, "", 0 }, { out, err, status })
    end
  end)

  it("is made when the command line may lead to a simulation", function()
    local question = "print(require 'lariat.core'.exact.exact)"
    local mentions <close> = run.file(MARK .. question)
    local other <close> = run.file(question)
    local spec <close> = run.file("print(require 'lariat.core'.exact.exact)", "_spec.lua")
    for _, case in ipairs {
      { true, { mentions.path } },
      { true, { "-W", mentions.path, "argument" } },
      { true, { "--", mentions.path } },
      { true, { "-e", MARK .. question } },
      { true, { "-e" .. MARK .. question } },
      { false, { other.path } },
      { false, { other.path, mentions.path } },
      { false, { "-e", question } },
      { false, { "-" }, MARK .. question },
    } do
      local out, err, status = run.lariat(case[2], case[3])
      assert.same({ tostring(case[1]) .. "\n", "", 0 }, { out, err, status })
    end
    local out = run.lariat { "--test", spec.path }
    local sanitized = io.open(run.path):read("a"):find("__asan_init", 1, true)
    assert.matches(sanitized and "^false\n" or "^true\n", out)
  end)

  it("is not made for other scripts: their seeds cannot be foretold", function()
    local seen, different = {}, 0
    for _ = 1, 10 do
      local out = run.lariat { "-e", KEYS .. "print(keys())" }
      if not seen[out] then different = different + 1 end
      seen[out] = true
    end
    assert.is_true(different > 5)
  end)

  it("is done without where its addresses cannot be had", function()
    local limited = "ulimit -v 3000000 && exec \"$0\" -e \"$1\""
    local code = MARK .. "print(require 'lariat.core'.exact.exact)"
    if os.getenv "ASAN_OPTIONS" then return end -- the sanitizer itself needs more than the limit
    local child <close> = require "lariat".run { "sh", "-c", limited, run.path, code }
    assert.equal("false\n", (child.stdout:receive "*a"))
    assert.same({ "exit", 0 }, { child:wait() })
  end)
end)

describe("a run in an exact state", function()
  it("sees one order of keys, whatever came before", function()
    local outputs = outputs_after(HISTORIES, "print(keys())")
    assert.matches("thread: 0x%x+", outputs[1])
    assert_all_equal(outputs)
  end)

  it("collects at the same moments, whatever came before", function()
    local outputs = outputs_after(HISTORIES, "print(finalizers(50000))")
    assert.matches("%d+ %d+, %d+ left", outputs[1])
    assert_all_equal(outputs)
  end)

  it("sees the same once more in the same process", function()
    local outputs = outputs_after({ "", "keys()" }, [[
      local first = keys() .. finalizers(30000)
      exact.finish()
      local between = {} for i = 1, 1000 do between[i] = {} end
      exact.begin()
      print(first == keys() .. finalizers(30000), #first > 1000)
      exact.finish()
    ]])
    assert.same({ "true\ttrue\n", "true\ttrue\n" }, outputs)
  end)

  it("keeps what lives on, and begins elsewhere while it does", function()
    local outputs = outputs_after({ "" }, [[
      local kept = {}
      for i = 1, 1000 do kept[i] = { i, { i } } end
      exact.finish()
      local low, where = {}, {}
      for i = 1, 3 do
        exact.begin()
        local t = { {} }
        where[i], t[2] = tostring(t[1]), kept
        low[i] = where[i]:sub(-8)
        for n = 1, 1000 do assert(kept[n][2][1] == n) kept[n] = { n, { n } } end
        exact.finish()
      end
      for n = 1, 1000 do assert(kept[n][2][1] == n) end
      print(low[1] == low[2] and low[2] == low[3], where[1] == where[2])
    ]])
    assert.equal("true\tfalse\n", outputs[1])
  end)

  it("takes no more memory than it needs, and leaves the collector at work", function()
    local garbage = [[
      for i = 1, 300000 do
        local t = { { i }, tostring(i), ("y"):rep(100) .. i }
        if i %% 1000 == 0 then assert(collectgarbage "count" < %d) end
      end
    ]]
    outputs_after({ "" }, garbage:format(50000) .. "exact.finish()" .. garbage:format(20000))
  end)

  it("is reached by its time limit, and by Ctrl-C, while it makes garbage", function()
    local spec <close> = run.file([[
      it("takes long", function()
        require "lariat.core".exact.begin()
        while true do local t = { {} } end
      end)
    ]], "_spec.lua")
    local out, _, status = run.lariat { "--test", "--timeout=0.2", spec.path }
    assert.matches("test exceeded its time limit of 0.2 s", out)
    assert.equal(1, status)
    local child <close> = run.start { "-e", MARK .. [[
      require "lariat.core".exact.begin()
      io.stdout:setvbuf "no"
      print "ready"
      while true do local t = { {} } end
    ]] }
    assert.equal("ready", child.stdout:receive())
    child:kill "INT"
    assert.same({ "signal", "INT" }, { child:wait() })
  end)
end)
