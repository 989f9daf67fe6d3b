-- SPDX-License-Identifier: MIT
--
-- How fast the simulated network is: a hundred clients and a server exchange heartbeats for so many
-- seconds of virtual time. Prints events a second of real time.

local sim = require "lariat.sim"
local socket = require "socket"

local SECONDS = tonumber((...)) or 600
local CLIENTS = 100

local function server()
  assert(socket.bind("*", 7000, CLIENTS)):serve(function(conn)
    for line in conn:lines "L" do conn:send(line) end
  end)
end

local function client()
  local conn <close> = assert(socket.connect("server", 7000))
  conn:settimeout(5)
  for _ = 1, SECONDS do
    conn:send "beat\n"
    assert(conn:receive())
    socket.sleep(1)
  end
end

local before = socket.gettime()
local result = sim.run({ seed = 1 }, function(net)
  net:host("server", server)
  for i = 1, CLIENTS do net:client("client" .. i, client) end
end)
print(("%.0f"):format(result.events / (socket.gettime() - before)))
