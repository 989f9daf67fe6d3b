-- SPDX-License-Identifier: MIT
--
-- The output of a worker process's busted run: only failures, on standard error, which is read by
-- the test that started the worker.

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
