-- SPDX-License-Identifier: MIT
--
-- The benchmark's servers on cqueues, under lua5.4: a coroutine for each connection; answers are
-- collected while more input is pending. It has no datagrams that can be answered, so there is no
-- UDP server.
-- Usage: lua5.4 cqueues.lua echo|lines|lines_concat|get|kv [PORT]; see heap.lua

package.path = arg[0]:gsub("[^/]*$", "") .. "../?.lua;" .. package.path
local cqueues = require "cqueues"
local heap = require "heap"
local protocol = require "peers.protocol"
local socket = require "cqueues.socket"

local mode, port = arg[1], tonumber(arg[2]) or 0

-- What has come is answered by one write.
local function serve(conn)
  local answers = protocol(mode, heap.touch)
  conn:setmode("bn", "bn")
  while true do
    local data = conn:read(-65536)
    if not data or not conn:write(answers(data)) then return end
  end
end

local loop = cqueues.new()
for _ = 1, heap.tasks do
  loop:wrap(function() cqueues.sleep(1e6) end)
end
local server = assert(socket.listen { host = "127.0.0.1", port = port, nodelay = true })
assert(server:listen())
local _, _, bound = server:localname()
print(bound)
io.stdout:flush()
loop:wrap(function()
  for conn in server:clients() do
    loop:wrap(function()
      serve(conn)
      conn:close()
    end)
  end
end)
assert(loop:loop())
