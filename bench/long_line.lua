-- SPDX-License-Identifier: MIT
--
-- One long line after another, each received whole: the processor time for a byte must not grow
-- with the length of the line. Then the bytes of many lines through one connection: memory must
-- not grow.
--
-- Usage: lariat bench/long_line.lua [LARGEST_MIB [FLOW_MIB]]. Prints lines of "line BYTES
-- NS_PER_BYTE" and of "flow MIB RSS_KIB".

local socket = require "socket"
local task = require "lariat.task"

local largest = (tonumber(arg[1]) or 64) << 20
local flow = tonumber(arg[2]) or 100

local function resident()
  for line in io.lines "/proc/self/smaps_rollup" do
    local kib = line:match "^Rss:%s+(%d+)"
    if kib then return tonumber(kib) end
  end
end

local server <close> = assert(socket.bind("127.0.0.1", 0))
local host, port = server:getsockname()
local writer = assert(socket.connect(host, port))
local reader <close> = assert(server:accept())

-- The chunk is sent again and again, so that only the receiver's cost depends on the length.
local chunk = ("x"):rep(1023)
local function say_line(bytes)
  for _ = 1, bytes // 1024 do writer:send { chunk, "x" } end
  writer:send "\n"
end

local bytes = 1024
while bytes <= largest do
  local lines = math.max(1, (4 << 20) // bytes)
  collectgarbage()
  local start = os.clock()
  local saying = task.spawn(function()
    for _ = 1, lines do say_line(bytes) end
  end)
  for _ = 1, lines do assert(#reader:receive() == bytes) end
  saying:join()
  print(("line %d %.3f"):format(bytes, (os.clock() - start) / (lines * bytes) * 1e9))
  bytes = bytes * 8
end

collectgarbage()
task.spawn(function()
  for _ = 1, flow << 10 do writer:send { chunk, "\n" } end
  writer:close()
end)
local received = 0
for line in reader:lines "L" do
  if received % (math.max(flow // 10, 1) << 20) == 0 then
    print(("flow %d %d"):format(received >> 20, resident()))
  end
  received = received + #line
end
assert(received == flow << 20)
print(("flow %d %d"):format(received >> 20, resident()))
