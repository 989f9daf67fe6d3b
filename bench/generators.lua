-- SPDX-License-Identifier: MIT
--
-- What a step of a plain generator costs: coroutine.wrap and coroutine.yield, with no socket in
-- sight. Runs under lua5.4 as well as under lariat, which replaces these functions.
--
-- Usage: lariat bench/generators.lua [STEPS]. Prints nanoseconds of processor time for each step.

local steps = tonumber(arg[1]) or 2000000

local function count(n)
  return coroutine.wrap(function()
    for i = 1, n do coroutine.yield(i) end
  end)
end

local start, sum = os.clock(), 0
for i in count(steps) do sum = sum + i end
assert(sum == steps * (steps + 1) // 2)
print(("%.2f"):format((os.clock() - start) / steps * 1e9))
