-- SPDX-License-Identifier: MIT
--
-- The store that the benchmark compares with `server get`: "GET key" is answered by its value.
-- The keys are key00000 to key09999, each with a value of 32 bytes. Answers are stored with their
-- newline, as in the server in C.
-- Written as a user would, with nothing tuned for the measurement.
--
-- Usage: lariat bench/get.lua [PORT]. The port is the first line of stdout, as bench/run.sh
-- expects of every server. It runs until a signal ends it.

local heap = require "heap"
local socket = require "socket"

local touch = heap.touch

local store = {}
for i = 0, 9999 do
  local key = ("key%05d"):format(i)
  store[key] = ("%-32s\n"):format(key)
end

local server = assert(socket.bind("127.0.0.1", tonumber(arg[1]) or 0, 1024))
local _, port = server:getsockname()
print(port)
io.stdout:flush()

server:serve(function(conn)
  for line in conn:lines() do
    local key = line:match "^GET (.+)"
    conn:send(store[key] or "?\n")
    if touch then touch(line) end
  end
end)
