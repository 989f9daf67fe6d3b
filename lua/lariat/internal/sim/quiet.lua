-- SPDX-License-Identifier: MIT
--
-- What a worker process tells of its busted run: nothing but failures, on standard error, where the
-- test that started it listens.

local busted = require "busted"

local function failure(_, _, message)
  io.stderr:write(message, "\n")
  return nil, true
end

local function failing_code(_, _, message, trace)
  io.stderr:write(message, "\n", trace and trace.traceback or "", "\n")
  return nil, true
end

--- An output handler of busted's.
return function()
  return {
    subscribe = function()
      busted.subscribe({ "failure" }, failure)
      busted.subscribe({ "error" }, failing_code)
    end,
  }
end
