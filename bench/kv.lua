-- SPDX-License-Identifier: MIT
--
-- A store that is asked for keys, as most scripts would write it: a line, a pattern, and an answer
-- that is put together. What the benchmark compares with `server kv`, which holds the same.
--
-- Usage: lariat bench/kv.lua [PORT]. The port is the first line of stdout, as bench/run.sh
-- expects of every server. It runs until a signal ends it.

local heap = require "heap"
local socket = require "socket"

local touch = heap.touch

local store = {}
for i = 0, 9999 do
  local key = ("key%05d"):format(i)
  store[key] = ("%-32s"):format(key)
end

local server = assert(socket.bind("127.0.0.1", tonumber(arg[1]) or 0, 1024))
local _, port = server:getsockname()
print(port)
io.stdout:flush()

server:serve(function(conn)
  local line = conn:receive "*l"
  while line do
    local value = store[line:match "^GET (.+)"]
    conn:send(value and "VALUE " .. value .. "\n" or "?\n")
    if touch then touch(line) end
    line = conn:receive "*l"
  end
end)
