-- SPDX-License-Identifier: MIT
--
-- Many runs of one function, each in a copy of this process (src/exact/fork.c), so that a crash or
-- an endless loop ends one run only. As many run at once as there are cores.

local core = require "lariat.core".fork
local now = require "lariat.core".task.now

local FOR_EVER = 1e9 -- seconds

-- Between processes -------------------------------------------------------------------------------

-- A Lua expression for a value made of tables, strings, numbers and booleans.
local function expression(value)
  if type(value) ~= "table" then return ("%q"):format(value) end
  local fields = {}
  for k, v in pairs(value) do
    fields[#fields + 1] = ("[%s]=%s"):format(expression(k), expression(v))
  end
  return "{" .. table.concat(fields, ",") .. "}"
end

-- The body of a copy: runs the function and sends its result to the parent.
local function be_copy(run, number)
  local ok, outcome = xpcall(run, debug.traceback, number)
  if not ok then outcome = { ok = false, error = tostring(outcome) } end
  core.leave("return " .. expression(outcome))
end

-- The outcome of a copy, from the text that it sent and how it ended.
local function outcome_of(copy, text, how, status)
  if how == "exit" and status == 0 and text ~= "" then
    return assert(load(text, "=outcome", "t", {}))()
  elseif copy.overdue then
    return { ok = false, error = ("did not end within %g s"):format(copy.limit) }
  elseif how == "signal" then
    return { ok = false, error = "killed by SIG" .. status }
  end
  return { ok = false, error = ("ended by itself, with exit status %d"):format(status) }
end

-- The runs of one call ----------------------------------------------------------------------------

local function start(copies, run, number, limit)
  local handle = core.start()
  if not handle then be_copy(run, number) end
  local copy = { handle = handle, number = number, limit = limit }
  copy.deadline = limit > 0 and now() + limit or math.huge
  copies[#copies + 1] = copy
end

-- Kills the copies whose time is up, and those whose numbers are not needed any more.
local function kill_some(copies, wanted)
  local time = now()
  for _, copy in ipairs(copies) do
    if copy.number > wanted then
      copy.handle:kill()
    elseif copy.deadline <= time then
      copy.overdue = true
      copy.handle:kill()
    end
  end
end

-- Removes the next copy that ends from the list; returns its number and outcome. nil: none has
-- ended.
local function await(copies)
  local handles, first = {}, math.huge
  for i, copy in ipairs(copies) do
    handles[i], first = copy.handle, math.min(first, copy.deadline)
  end
  local i, text, how, status = core.await(handles, math.min(first - now(), FOR_EVER))
  if not i then return nil end
  local copy = table.remove(copies, i)
  return copy.number, outcome_of(copy, text, how, status)
end

--- Runs run(number), which returns a table with a field `ok`, for the numbers from `from` to `to`
--- in copies of this process, until one of them is not ok.
---@param from integer
---@param to integer
---@param run fun(number: integer): table
---@param limit number seconds for each; 0: any number
---@return integer? failed the lowest number that is not ok
---@return table<integer, table> outcomes of the numbers up to that one
return function(from, to, run, limit)
  local copies, outcomes, upcoming, failed = {}, {}, from, nil
  repeat
    while not failed and upcoming <= to and #copies < core.cores do
      start(copies, run, upcoming, limit)
      upcoming = upcoming + 1
    end
    local number, outcome = await(copies)
    if number and number <= (failed or to) then
      outcomes[number] = outcome
      if not outcome.ok then failed = number end
    end
    kill_some(copies, failed or to)
  until not copies[1] and (failed or upcoming > to)
  return failed, outcomes
end
