-- SPDX-License-Identifier: MIT
--
-- Leader election among some nodes over UDP: the election part of Raft (Ongaro, Ousterhout 2014).
--
--   lariat leader_election.lua NAME FILE NAME=HOST:PORT...     (every node, with this one)
--
-- Prints "term N: leads" and "term N: follows NAME". FILE keeps what a node must not forget if it
-- crashes. Start three, then stop the one that leads:
--
--   for n in a b c; do
--     lariat leader_election.lua $n /tmp/$n a=127.0.0.1:7101 b=127.0.0.1:7102 c=127.0.0.1:7103 &
--   done
--
-- The rules are in leader_election/node.lua, which knows of no network; here is the network.
-- spec/examples/leader_election_spec.lua runs them where it partitions and hosts crash.

local socket = require "socket"
package.path = arg[0]:gsub("[^/]*$", "") .. "?.lua;" .. package.path -- modules beside this script
local node = require "leader_election.node"
local store = require "leader_election.store"

local function usage()
  io.stderr:write "usage: lariat leader_election.lua NAME FILE NAME=HOST:PORT...\n"
  os.exit(2)
end

local function check(value, message)
  if value then return value end
  io.stderr:write("leader_election: ", message, "\n")
  os.exit(1)
end

-- The others' names, and name -> address of all.
local function read_command_line()
  local others, addresses = {}, {}
  for i = 3, #arg do
    local name, host, port = arg[i]:match "^([%w_-]+)=(.+):(%d+)$"
    port = math.tointeger(port)
    if not port or port < 1 or port > 65535 or addresses[name] then usage() end
    addresses[name] = { host = host, port = port }
    if name ~= arg[1] then table.insert(others, name) end
  end
  if not addresses[arg[1]] then usage() end
  return others, addresses
end

local others, addresses = read_command_line()
for name, address in pairs(addresses) do
  local ip, message = socket.dns.toip(address.host)
  address.ip = check(ip, ("%s: %s"):format(name, message))
end
local udp <close> = socket.udp()
check(udp:setsockname(addresses[arg[1]].ip, addresses[arg[1]].port))

local self = node.new {
  name = arg[1],
  others = others,
  store = check(store.open(arg[2])),
  clock = socket.gettime,
  send = function(to, message) -- it may get lost anyway, so an error says nothing new
    udp:sendto(message, addresses[to].ip, addresses[to].port)
  end,
  announce = function(text)
    print(text)
    io.flush()
  end,
}

while true do
  udp:settimeout(math.max(0, self.deadline - socket.gettime()))
  local message, problem = udp:receive()
  if message then
    self:hear(message)
  elseif problem == "timeout" then
    self:act()
  end
end
