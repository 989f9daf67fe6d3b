-- SPDX-License-Identifier: MIT
-- getsockname, getpeername and getfamily of TCP objects in every state, in both families.

local socket = require "socket"
local harness = require "harness"
local scenario = harness.scenario

---@param recorded any
local function ask(recorded)
  recorded:getsockname()
  recorded:getpeername()
  recorded:getfamily()
end

scenario("of a master", function() ask(harness.object("master", socket.tcp4())) end)

scenario("of an undecided master", function() ask(harness.object("master", socket.tcp())) end)

scenario("of a bound master", function()
  local tcp = harness.object("master", socket.tcp())
  tcp:bind("127.0.0.1", 0)
  ask(tcp)
end)

scenario("of a server", function() ask((harness.tcp_server())) end)

scenario("of both ends", function()
  local client, conn = harness.tcp_pair()
  ask(client)
  ask(conn)
end)

scenario("agree at both ends", function()
  local client, conn = harness.tcp_pair()
  local _, here = harness.raw(client):getsockname()
  local _, there = harness.raw(conn):getpeername()
  harness.show("same port", tonumber(here) == tonumber(there))
  harness.show("peer port type", math.type(there))
end)

scenario("after the peer has left", function()
  local client, conn = harness.tcp_pair()
  conn:close()
  client:receive()
  ask(client)
end)

scenario("of the wildcard", function()
  local server = harness.tcp_server(socket.tcp4, "*")
  ask(server)
end)

scenario("ipv6", function()
  if not harness.has_ipv6() then return end
  local client, conn, server = harness.tcp_pair(socket.tcp6, "::1")
  ask(server)
  ask(client)
  ask(conn)
  client:send("over six\n")
  conn:receive()
end)

scenario("ipv6 masters", function()
  if not harness.has_ipv6() then return end
  local tcp = harness.object("tcp6", socket.tcp6())
  ask(tcp)
  tcp:bind("*", 0)
  ask(tcp)
  harness.object("tcp6", socket.tcp6()):bind("127.0.0.1", 0)
  harness.object("tcp6", socket.tcp6()):bind("fe80::1%nowhere", 0)
end)

scenario("an undecided master takes the family of the address", function()
  if not harness.has_ipv6() then return end
  local _, port = harness.tcp_server(socket.tcp6, "::1")
  local tcp = harness.object("tcp", socket.tcp())
  tcp:settimeout(harness.PATIENCE)
  tcp:connect("::1", port)
  ask(tcp)
  local bound = harness.object("bound", socket.tcp())
  bound:bind("::1", 0)
  ask(bound)
end)
