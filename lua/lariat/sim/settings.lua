-- SPDX-License-Identifier: MIT
--
-- What the command line of `lariat --test` says about simulations; lariat.busted fills it in.

---@class lariat.sim.Settings
---@field busted? table busted's instance; nil: not under `lariat --test`
---@field limit number seconds for each seed, unless a test has its own
---@field seed? integer the only one to be run, with its ladder shown
---@field seeds? integer how many instead of what tests say
---@field without string[] families of faults that stay off
---@field program string as the user calls it
---@field inherited string[] busted's options that a worker process needs as well
---@field directory? string the one the program was started in
---@field worker? integer the line of the sim.it to be run here, if this is a worker process
---@field chosen? function in a worker: the body of that test
---@field ran? boolean in a worker: it has run
---@field pending? string in a worker: it has called pending() with this
---@field PENDING integer the exit status of a worker whose test has
return { program = "lariat", limit = 10, without = {}, inherited = {}, PENDING = 77 }
