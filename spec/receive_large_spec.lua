-- SPDX-License-Identifier: MIT
--
-- Large pieces of a stream, as strings: whatever way their bytes take, they are right, stay as they
-- are, and cost no more memory than they hold. A program that only serves has them received where
-- the string will be; one that may simulate, as that which runs this file, copies them.

local large = require "spec.support.large"
local net = require "spec.support.net"
local run = require "spec.support.program"
local sim = require "lariat.sim"
local socket = require "socket"

local PROGRAM = [[
  require("spec.support.large")["%s"](require("spec.support.net").pair)
  print "done"
]]

local function simulated_pair()
  local listener <close> = assert(socket.bind("*", 7000))
  local near = assert(socket.connect("127.0.0.1", 7000))
  return near, assert(listener:accept())
end

describe("large pieces", function()
  for name, check in pairs(large) do
    it(name, function() check(net.pair) end)

    it(name .. ", in a simulation", function()
      local options = { seed = 7, latency = 0.0001, split = false }
      assert(sim.run(options, function() check(simulated_pair) end))
    end)

    it(name .. ", in a program", function()
      local out, err, status = run.lariat { "-e", PROGRAM:format(name) }
      assert.same({ "done\n", "", 0 }, { out, err, status })
    end)
  end
end)
