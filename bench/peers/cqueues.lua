-- SPDX-License-Identifier: MIT
--
-- The benchmark's servers on cqueues, under lua5.4: a coroutine for each connection. It has no
-- datagrams that can be answered, so there is no UDP server.
-- Usage: lua5.4 cqueues.lua echo|lines|get [PORT]

local cqueues = require "cqueues"
local socket = require "cqueues.socket"
local mode, port = arg[1], tonumber(arg[2]) or 0

local store = {}
for i = 0, 999 do
  local key = ("key%04d"):format(i)
  store[key] = ("%-32s\n"):format(key)
end

local function answer(line)
  return store[line:match "^GET (.+)"] or "?\n"
end

local function echo(conn)
  conn:setmode("bn", "bn")
  while true do
    local data = conn:read(-65536)
    if not data or not conn:write(data) then return end
  end
end

local function lines(conn)
  conn:setmode("bn", "bf")
  for line in conn:lines(mode == "get" and "*l" or "*L") do
    conn:write(mode == "get" and answer(line) or line)
    if conn:pending() == 0 then conn:flush() end
  end
end

local loop = cqueues.new()
local server = assert(socket.listen { host = "127.0.0.1", port = port, nodelay = true })
assert(server:listen())
local _, _, bound = server:localname()
print(bound)
io.stdout:flush()
loop:wrap(function()
  for conn in server:clients() do
    loop:wrap(function()
      local serve = mode == "echo" and echo or lines
      serve(conn)
      conn:close()
    end)
  end
end)
assert(loop:loop())
