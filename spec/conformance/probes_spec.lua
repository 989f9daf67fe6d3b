-- SPDX-License-Identifier: MIT
--
-- The script that compares lariat with LuaSocket, some 290 scenarios on one machine, prints the
-- same over the kernel and on a host of a simulation, except for what is listed here.

local lariat = require "lariat"
local sim = require "lariat.sim"

local PROBES = "spec/differential/probes.lua"

local REASONS = {
  ["no host of this simulation has that name"] = "an unknown name says that names are simulated",
  ["/no/such/directory/"] = "a simulated host has every directory",
  ["/etc/passwd"] = "and no file but its sockets",
  ["near os%.time"] = "os.time is compared with the clock of the world outside",
  ["a userdata/1 "] = "standard streams of io are tables",
  ["to a peer that closed, with an index"] = "differs from run to run under the kernel, too",
}

local function excused(line)
  for pattern in pairs(REASONS) do
    if line:find(pattern) then return true end
  end
  return false
end

local function lines_of(text)
  local lines = {}
  for line in text:gmatch "[^\n]+" do lines[#lines + 1] = line end
  return lines
end

local function kernel_output()
  local child <close> = assert(lariat.run { os.getenv "LARIAT" or "./lariat", PROBES,
    stderr = "inherit" })
  return assert(child.stdout:receive "*a")
end

local function simulated_output()
  local output
  sim.run({ echo = false }, function(net)
    local host = net:client("prober", PROBES)
    net:at(3600, function() error("still probing:\n" .. host:output():sub(-1000)) end)
    host:wait()
    output = host:output()
  end)
  return output
end

describe("the probes of the differential test", function()
  it("print the same over the kernel and in a simulation", function()
    local kernel, simulated = lines_of(kernel_output()), lines_of(simulated_output())
    local surprises = {}
    for i = 1, math.max(#kernel, #simulated) do
      local want, got = kernel[i] or "nothing", simulated[i] or "nothing"
      if want ~= got and not excused(want) and not excused(got) then
        table.insert(surprises, ("kernel    %s\nsimulated %s"):format(want, got))
      end
    end
    assert.is_true(#kernel > 1000)
    assert.equal("", table.concat(surprises, "\n"))
  end)
end)
