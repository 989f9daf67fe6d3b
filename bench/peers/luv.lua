-- SPDX-License-Identifier: MIT
--
-- The benchmark's servers on lua-luv, under lua5.4: callbacks, and a write for each answer.
-- Usage: lua5.4 luv.lua echo|lines|get|udp [PORT]

local uv = require "luv"
local mode, port = arg[1], tonumber(arg[2]) or 0

local store = {}
for i = 0, 999 do
  local key = ("key%04d"):format(i)
  store[key] = ("%-32s\n"):format(key)
end

local function answer(line)
  return store[line:match "^GET (.+)\n"] or "?\n"
end

local function on_data(conn)
  if mode == "echo" then
    return function(data) conn:write(data) end
  end
  local rest = ""
  return function(data)
    rest = rest .. data
    local start = 1
    while true do
      local stop = rest:find("\n", start, true)
      if not stop then break end
      local line = rest:sub(start, stop)
      conn:write(mode == "get" and answer(line) or line)
      start = stop + 1
    end
    rest = rest:sub(start)
  end
end

local server
if mode == "udp" then
  server = uv.new_udp()
  assert(server:bind("127.0.0.1", port))
  server:recv_start(function(_, data, from)
    if data then server:try_send(data, from.ip, from.port) end
  end)
else
  server = uv.new_tcp()
  assert(server:bind("127.0.0.1", port))
  assert(server:listen(1024, function()
    local conn = uv.new_tcp()
    server:accept(conn)
    conn:nodelay(true)
    local take = on_data(conn)
    conn:read_start(function(err, data)
      if err or not data then conn:close() else take(data) end
    end)
  end))
end
print(server:getsockname().port)
io.stdout:flush()
uv.run()
