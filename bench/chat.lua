-- SPDX-License-Identifier: MIT
--
-- The chat that the benchmark compares with `server chat`: each line goes to all clients, the one
-- who said it included. Written as a user would, with nothing tuned for the measurement.
--
-- Usage: lariat bench/chat.lua [PORT]. The port is the first line of stdout, as bench/run.sh
-- expects of every server. It runs until a signal ends it.

local socket = require "socket"

local server = assert(socket.bind("127.0.0.1", tonumber(arg[1]) or 0, 1024))
local _, port = server:getsockname()
print(port)
io.stdout:flush()

local clients = {}

server:serve(function(conn)
  clients[#clients + 1] = conn
  for line in conn:lines "L" do
    for i = #clients, 1, -1 do clients[i]:send(line) end -- one may leave while a send waits
  end
  for i, client in ipairs(clients) do
    if client == conn then
      table.remove(clients, i)
      break
    end
  end
end)
