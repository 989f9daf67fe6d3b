-- SPDX-License-Identifier: MIT
--
-- Messages to and fro between two tasks of one process, so that an instruction counter sees all of
-- it and nothing else: what does a timeout on the server's receives cost? Every receive has to
-- wait.
--
-- That this text names lariat.sim gives it an exact state: its hashing does not differ from run to
-- run, and neither does the number of instructions, which it otherwise does by 50 a message.
--
-- Usage: lariat bench/timeouts.lua MESSAGES none|once|each none: no timeout; once: one set at the
-- beginning, which then limits every receive; each: set again before every receive.

local socket = require "socket"
local task = require "lariat.task"

local messages, mode = tonumber(arg[1]), arg[2]

local server <close> = assert(socket.bind("127.0.0.1", 0))
local host, port = server:getsockname()

task.spawn(function()
  local conn <close> = assert(server:accept())
  if mode == "once" then conn:settimeout(30) end
  local bytes
  repeat
    if mode == "each" then conn:settimeout(30) end
    bytes = conn:receiveany()
  until not bytes or not conn:send(bytes)
end)

local conn <close> = assert(socket.connect(host, port))
for _ = 1, messages do
  assert(conn:send "hello")
  assert(conn:receiveany())
end
