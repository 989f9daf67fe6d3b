-- SPDX-License-Identifier: MIT
--
-- The module `lariat.task`: tasks for scripts. The scheduler is in C; this is its face.

local core = require "lariat.core".task

local task = {
  cancelled = core.cancelled,
  sleep = core.sleep,
  yield = core.yield,
  now = core.now,
  current = core.current,
  spawn = core.spawn,
}

return task
