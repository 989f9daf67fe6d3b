-- SPDX-License-Identifier: MIT
--
-- The benchmark's runner works: every case starts, is answered rightly by the servers in C and by
-- the scripts, and ends, with slices so short that the numbers mean nothing. No time is judged.
-- What cannot run on this machine is said in a line of its own, and counted.

local lariat = require "lariat"

-- Runs the cases; returns what was printed. Fails with it, too, if a case could not be measured.
local function smoke(...)
  local child <close> = assert(lariat.run {
    stderr = "stdout", env = { LARIAT = os.getenv "LARIAT" or "./lariat" },
    "bench/run.sh", "smoke", ...,
  })
  local output = child.stdout:receive "a" or ""
  local how, code = child:wait()
  assert(how == "exit" and code == 0, ("run.sh ended with %s %s:\n%s"):format(how, code, output))
  return output
end

-- Every case has begun, and every one that was left out has a line that says why.
local function check(output, names)
  for _, name in ipairs(names) do
    local line = "-- " .. name .. "\n"
    assert.truthy(output:find(line, 1, true), name .. " is missing in:\n" .. output)
  end
  local measured, skipped = output:match "smoke: (%d+) measured, (%d+) skipped"
  local _, said = output:gsub("skipped: %S", "")
  assert.equal(tonumber(skipped), said)
  assert.truthy(tonumber(measured) + tonumber(skipped) >= #names, output)
end

describe("the benchmark", function()
  for title, names in pairs {
    ["echoes small and large messages"] =
      { "echo-1", "echo-64", "echo-1000", "echo-3000", "echo-pipelined", "echo-16k" },
    ["answers lines and keys, and lets many hear one"] =
      { "lines", "lines-concat", "chat", "get-pipelined", "get-64", "kv" },
    ["holds a heap, read or written, and idle tasks"] = {
      "echo-16k+10k+1000t", "echo-16k+1m+written", "lines-concat+300k+written", "kv+10k",
      "echo-64+7t",
    },
    ["moves bulk, connections and datagrams"] = { "bulk", "proxy", "connect", "udp" },
    ["weighs idle connections and tasks, and times start-up"] =
      { "idle-memory", "startup", "tasks", "pauses", "generators", "simulation" },
    ["counts the instructions of a timeout"] = { "timeouts" },
    ["asks a Redis server and ours"] = { "redis" },
  } do
    it(title, function() check(smoke(table.unpack(names)), names) end)
  end

  it("shows how costs grow", function()
    local output = smoke "growth"
    for _, curve in ipairs { "connections", "tasks", "line", "flow", "event", "event-and-conn",
      "semaphore-fail", "semaphore-time", "senders", "cancel", "close", "exit-swallow",
      "exit-semaphore", "exit-close" } do
      assert.truthy(output:find("growth of " .. curve .. ": ", 1, true), output)
    end
  end)

  for _, name in ipairs { "nonsense", "echo-64+7k", "echo-64+written+10k", "echo-64+" } do
    it("refuses what it does not know: " .. name, function()
      local child <close> = assert(lariat.run { "bench/run.sh", name, stderr = "stdout" })
      local output = child.stdout:receive "a"
      assert.same({ "exit", 2 }, { child:wait() })
      assert.truthy(output:find(("what is '%s'?"):format(name), 1, true))
    end)
  end

  it("refuses a heap for a script that holds none", function()
    local child <close> = assert(lariat.run { "bench/run.sh", "udp+10k", stderr = "stdout" })
    local output = child.stdout:receive "a"
    assert.same({ "exit", 1 }, { child:wait() })
    assert.truthy(output:find("udp+10k: bench/udp.lua holds no heap", 1, true), output)
  end)
end)
