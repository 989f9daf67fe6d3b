-- SPDX-License-Identifier: MIT
--
-- One script of some 290 scenarios, run under stock Lua with LuaSocket and under lariat, must print
-- the same, except for the differences that spec/differential/differences.lua lists with reasons.

local lariat = require "lariat"

local PROBES = "spec/differential/probes.lua"

local function output_of(program)
  local child <close> = assert(lariat.run { program, PROBES, stderr = "inherit" })
  child.stdout:settimeout(60)
  local text = assert(child.stdout:receive "*a")
  assert.same({ "exit", 0 }, { child:wait() })
  return text
end

-- Behind LuaSocket's words about a wrong object, host or pattern, ours say what is wrong with it.
local function without_reason(line)
  return (line:gsub('( expected%)): [^"]*"', '%1"'):gsub('(, or not known): [^"]*"', '%1"')
    :gsub('(invalid receive pattern): [^"]*%)"', '%1)"'))
end

-- "section/scenario/number rest of the line" -> line by its first three parts
local function by_probe(text)
  local lines, count = {}, 0
  for line in text:gmatch "[^\n]+" do
    local probe = line:match "^(%S-/.-/%d+)[ :]"
    if probe then
      lines[probe] = line
      count = count + 1
    end
  end
  return lines, count
end

-- By probe. A group may differ `sometimes`: that is when timing decides.
local function expected_differences(always)
  local expected = {}
  for _, group in ipairs(dofile "spec/differential/differences.lua") do
    for scenario, numbers in pairs(group.probes) do
      for _, n in ipairs(numbers) do
        if not (always and group.sometimes) then expected[scenario .. "/" .. n] = group.reason end
      end
    end
  end
  return expected
end

describe("the same script under LuaSocket and under lariat", function()
  local stock, ours, count

  setup(function()
    stock, count = by_probe(output_of "lua5.4")
    ours = by_probe(without_reason(output_of(os.getenv "LARIAT" or "./lariat")))
  end)

  it("makes more than a hundred probes", function()
    assert.is_true(count > 100)
  end)

  it("prints the same but for the listed differences", function()
    local expected = expected_differences()
    local surprises = {}
    for probe, line in pairs(stock) do
      if ours[probe] ~= line and not expected[probe] then
        table.insert(surprises, ("LuaSocket %s\nlariat    %s"):format(line, ours[probe]))
      end
    end
    for probe, line in pairs(ours) do
      if not stock[probe] and not expected[probe] then
        table.insert(surprises, "only lariat " .. line)
      end
    end
    assert.equal("", table.concat(surprises, "\n"))
  end)

  it("differs wherever a difference is listed", function()
    local stale = {}
    for probe in pairs(expected_differences(true)) do
      if stock[probe] == ours[probe] then table.insert(stale, probe) end
    end
    assert.same({}, stale)
  end)
end)
