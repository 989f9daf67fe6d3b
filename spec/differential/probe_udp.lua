-- SPDX-License-Identifier: MIT
-- Datagrams: addresses, connected and unconnected objects, truncation, empty datagrams, errors.

local socket = require "socket"
local harness = require "harness"
local scenario, show, settle = harness.scenario, harness.show, harness.settle

---@param label string
---@param create (fun(): any)?
local function fresh(label, create)
  local object = assert((create or socket.udp4)())
  object:settimeout(harness.PATIENCE)
  return harness.object(label, object)
end

---@param recorded any
local function show_class(recorded)
  local raw = harness.raw(recorded)
  show("class", raw.class, (tostring(raw):gsub(":.*", "")))
end

scenario("sendto and receivefrom", function()
  local a, port_a = harness.udp_bound "a"
  local b, port_b = harness.udp_bound "b"
  a:sendto("hello", "127.0.0.1", port_b)
  local data, host, port = b:receivefrom()
  show("port is the sender's", port == port_a, math.type(port))
  b:sendto("back to " .. tostring(data), host, port)
  a:receivefrom()
  a:sendto("binary \0\r\n\255", "127.0.0.1", tostring(port_b))
  b:receive()
end)

scenario("undecided family", function()
  local _, port = harness.udp_bound "bound"
  local udp = fresh("udp", socket.udp)
  udp:getfd()
  udp:getfamily()
  udp:getsockname()
  udp:getoption("broadcast")
  udp:settimeout(0)
  udp:receive()
  udp:receivefrom()
  udp:sendto("first", "127.0.0.1", port)
  udp:getfd()
  udp:getfamily()
  udp:getsockname()
  udp:receive()
  udp:receivefrom()
end)

scenario("undecided family, connected", function()
  local _, port = harness.udp_bound "bound"
  local udp = fresh("udp", socket.udp)
  udp:setpeername("127.0.0.1", port)
  show_class(udp)
  udp:getfamily()
  udp:getpeername()
  udp:send("text")
end)

scenario("undecided family, bound", function()
  local udp = fresh("udp", socket.udp)
  udp:setsockname("127.0.0.1", 0)
  show_class(udp)
  udp:getfamily()
  udp:getsockname()
end)

scenario("truncation", function()
  local a, port = harness.udp_bound "a"
  local b = fresh "b"
  for _ = 1, 6 do harness.raw(b):sendto("0123456789", "127.0.0.1", port) end
  a:receive(4)
  a:receivefrom(3)
  a:receive(0)
  a:receivefrom("5")
  a:receive(9.9)
  a:receive(9000)
  a:settimeout(0)
  a:receive()
end)

scenario("truncation arguments", function()
  local a = harness.udp_bound "a"
  a:settimeout(0)
  a:receive("many")
  a:receive({})
  a:receivefrom("many")
  a:receivefrom(true)
  a:receive(nil)
  a:receive("*l")
  a:receivefrom("*a")
end)

scenario("empty datagrams", function()
  local a, port = harness.udp_bound "a"
  local b = fresh "b"
  b:sendto("", "127.0.0.1", port)
  b:sendto("", "127.0.0.1", port)
  b:sendto("after", "127.0.0.1", port)
  a:receivefrom()
  a:receive()
  a:receive()
  b:setpeername("127.0.0.1", port)
  b:send("")
  a:receive()
end)

scenario("large datagrams", function()
  local a, port = harness.udp_bound "a"
  local b = fresh "b"
  for _, size in ipairs{1472, 8191, 8192} do
    b:sendto(("x"):rep(size), "127.0.0.1", port)
    a:receive()
  end
  b:sendto(("x"):rep(8192), "127.0.0.1", port)
  a:receivefrom()
  b:sendto(("x"):rep(65508), "127.0.0.1", port)
  b:sendto(("x"):rep(100000), "127.0.0.1", port)
  b:setpeername("127.0.0.1", port)
  b:send(("x"):rep(65508))
  b:send("still usable")
  a:receive()
end)

scenario("connected", function()
  local a, port = harness.udp_bound "a"
  local b = fresh "b"
  b:getpeername()
  b:send("text")
  b:setpeername("127.0.0.1", port)
  show_class(b)
  b:getpeername()
  b:getsockname()
  b:send("text")
  b:sendto("text", "127.0.0.1", port)
  b:receivefrom()
  b:setsockname("127.0.0.1", 0)
  local _, host, from = a:receivefrom()
  a:sendto("answer", host, from)
  b:receive()
end)

scenario("connected hears only its peer", function()
  local a, port_a = harness.udp_bound "a"
  local b, port_b = harness.udp_bound "b"
  local stranger = fresh "stranger"
  b:setpeername("127.0.0.1", port_a)
  stranger:sendto("from the stranger", "127.0.0.1", port_b)
  a:sendto("from the peer", "127.0.0.1", port_b)
  b:receive()
  b:settimeout(0)
  b:receive()
end)

scenario("connected, then free again", function()
  local a, port = harness.udp_bound "a"
  local b = fresh "b"
  b:setpeername("127.0.0.1", port)
  b:setpeername("*")
  show_class(b)
  b:getpeername()
  b:send("text")
  b:sendto("text", "127.0.0.1", port)
  a:receive()
  b:setpeername("*", "ignored")
  b:setpeername("127.0.0.1", port)
  b:setpeername("127.0.0.1", port)
  show_class(b)
end)

scenario("connected to a port that refuses", function()
  local holder, port = harness.udp_bound "holder"
  local b = fresh "b"
  b:setpeername("127.0.0.1", port)
  holder:close()
  b:send("first")
  settle()
  b:send("second")
  b:send("third")
  settle()
  b:receive()
  b:settimeout(0)
  b:receive()
  b:getoption("error")
end)

-- A connected socket whose first datagram has been refused, and what it is asked next.
local function refused()
  local holder, port = harness.udp_bound "holder"
  local b = fresh "b"
  b:setpeername("127.0.0.1", port)
  holder:close()
  b:send("first")
  settle()
  b:settimeout(0)
  return b, port
end

scenario("refused, told by send", function()
  local b = refused()
  b:send("second")
  b:receive()
end)

scenario("refused, told by receive", function()
  local b = refused()
  b:receive()
  b:receive()
  b:send("second")
  settle()
  b:receive()
end)

scenario("refused, told by every second send", function()
  local b = refused()
  for _ = 1, 4 do
    b:send("again")
    settle()
  end
  b:receive()
  b:receive()
end)

scenario("refused, readable and writable", function()
  local b = harness.raw((refused()))
  local readable, writable = socket.select({ b }, { b }, 0)
  show("select", #readable, #writable)
  show("receive", b:receive())
  readable = socket.select({ b }, nil, 0)
  show("select again", #readable)
end)

scenario("refused, and the peer is back", function()
  local b, port = refused()
  local back = fresh "back"
  back:setsockname("127.0.0.1", port)
  b:send("second")
  b:send("third")
  back:receive()
  back:settimeout(0)
  back:receive()
end)

scenario("refused, asked for the error", function()
  local b = refused()
  b:getoption("error")
  b:receive()
end)

scenario("refused by the kernel", function()
  local peer, port = harness.udp_bound "peer"
  local b = fresh "b"
  for i = 1, 3 do
    b:sendto("heartbeat " .. i, "127.0.0.1", port)
    b:sendto("heartbeat " .. i, "255.255.255.255", port)
    b:sendto("heartbeat " .. i, "127.0.0.1", port)
    peer:receive()
    peer:receive()
  end
  b:settimeout(0)
  b:receivefrom()
end)

-- Told when the batch leaves, and then at once.
scenario("refused by the kernel again and again", function()
  local peer, port = harness.udp_bound "peer"
  local b = fresh "b"
  for i = 1, 3 do
    b:sendto("all " .. i, "127.255.255.255", port)
    settle()
  end
  b:settimeout(0)
  b:receivefrom()
  b:sendto("one", "127.0.0.1", port)
  peer:receive()
end)

scenario("unconnected to a port that refuses", function()
  local holder, port = harness.udp_bound "holder"
  local b = fresh "b"
  holder:close()
  b:sendto("first", "127.0.0.1", port)
  settle()
  b:sendto("second", "127.0.0.1", port)
  b:settimeout(0)
  b:receivefrom()
end)

scenario("sendto arguments", function()
  local udp, port = harness.udp_bound "udp"
  udp:sendto()
  udp:sendto("text")
  udp:sendto("text", "127.0.0.1")
  udp:sendto("text", nil, port)
  udp:sendto(nil, "127.0.0.1", port)
  udp:sendto({}, "127.0.0.1", port)
  udp:sendto("text", "127.0.0.1", {})
  udp:sendto(42, "127.0.0.1", port)
  udp:sendto("text", "localhost", port)
  udp:sendto("text", "no-such-host.invalid", port)
  udp:sendto("text", "127.0.0.1", "domain")
  udp:sendto("text", "127.0.0.1", "")
  udp:sendto("text", "127.0.0.1", -1)
  udp:sendto("text", "127.0.0.1", 0)
  udp:sendto("text", "", port)
  udp:sendto("text", "::1", port)
  udp:sendto("text", "*", port)
  udp:sendto("text", "255.255.255.255", port)
  udp:sendto("text", "127.0.0.1", port, "ignored")
end)

scenario("send arguments", function()
  local _, port = harness.udp_bound "bound"
  local udp = fresh "udp"
  udp:setpeername("127.0.0.1", port)
  udp:send()
  udp:send(nil)
  udp:send({})
  udp:send(7)
  udp:send("hello", 2, 3)
end)

scenario("setsockname arguments", function()
  fresh("udp"):setsockname()
  fresh("udp"):setsockname("127.0.0.1")
  fresh("udp"):setsockname(nil, 0)
  fresh("udp"):setsockname("127.0.0.1", {})
  fresh("udp"):setsockname("127.0.0.1", "no-such-service")
  fresh("udp"):setsockname("*", 0)
  fresh("udp"):setsockname("localhost", 0)
  fresh("udp"):setsockname("192.0.2.1", 0)
  fresh("udp"):setsockname("::1", 0)
  harness.object("udp", socket.udp4(), harness.mask_message)
    :setsockname("no-such-host.invalid", 0)
  local twice = fresh "twice"
  twice:setsockname("127.0.0.1", 0)
  twice:setsockname("127.0.0.1", 0)
  twice:getsockname()
end)

scenario("setsockname to a port in use", function()
  local _, port = harness.udp_bound "holder"
  local udp = fresh "udp"
  udp:setsockname("127.0.0.1", port)
  udp:getsockname()
  udp:getfd()
  udp:setsockname("127.0.0.1", 0)
end)

scenario("setpeername arguments", function()
  fresh("udp"):setpeername()
  fresh("udp"):setpeername("127.0.0.1")
  fresh("udp"):setpeername(nil, 9)
  fresh("udp"):setpeername("127.0.0.1", {})
  fresh("udp"):setpeername("*")
  fresh("udp"):setpeername("127.0.0.1", "no-such-service")
  fresh("udp"):setpeername("localhost", 9)
  local udp = fresh "udp"
  udp:setpeername("::1", 9)
  show_class(udp)
  local unknown = harness.object("unknown", socket.udp4(), harness.mask_message)
  unknown:setpeername("no-such-host.invalid", 9)
  show_class(unknown)
end)

scenario("names", function()
  local udp = fresh "udp"
  udp:getsockname()
  udp:getpeername()
  udp:getfamily()
  udp:dirty()
  udp:sendto("x", "127.0.0.1", 9)
  udp:getsockname()
end)

scenario("close", function()
  local udp = harness.udp_bound "udp"
  udp:close()
  udp:close()
  udp:getfd()
  fresh("undecided", socket.udp):close()
end)

scenario("ipv6", function()
  if not harness.has_ipv6() then return end
  local a, port = harness.udp_bound("a", socket.udp6, "::1")
  local b = fresh("b", socket.udp6)
  a:getsockname()
  a:getfamily()
  b:getsockname()
  b:sendto("six", "::1", port)
  a:receivefrom()
  b:setpeername("::1", port)
  b:getpeername()
  b:send("connected six")
  a:receive()
  b:setpeername("*")
  b:getpeername()
  b:sendto("four over six", "127.0.0.1", port)
  b:sendto("mapped", "::ffff:127.0.0.1", port)
  b:sendto("star", "*", port)
end)

scenario("an undecided family takes that of the address", function()
  if not harness.has_ipv6() then return end
  local a, port = harness.udp_bound("a", socket.udp6, "::1")
  local udp = fresh("udp", socket.udp)
  udp:sendto("six", "::1", port)
  udp:getfamily()
  udp:sendto("four", "127.0.0.1", port)
  a:receive()
end)
