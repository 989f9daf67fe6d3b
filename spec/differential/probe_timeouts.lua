-- SPDX-License-Identifier: MIT
-- settimeout and gettimeout, and which calls they bound.

local socket = require "socket"
local harness = require "harness"
local scenario, show = harness.scenario, harness.show

scenario("defaults", function()
  harness.object("tcp", socket.tcp()):gettimeout()
  harness.object("udp", socket.udp()):gettimeout()
  harness.object("dgram", require "socket.unix".dgram()):gettimeout()
end)

scenario("forms", function()
  local tcp = harness.object("tcp", socket.tcp())
  local forms = {
    {1}, {2, "b"}, {3, "t"}, {4, "r"}, {0}, {0, "t"}, {nil}, {nil, "t"}, {-1}, {-5, "t"}, {-0.5},
    {0.25}, {"7"}, {1e-3}, {1e9}, {5, nil}, {6, "block"}, {6, "total"}, {8, "bogus"}, {9, "real"},
    {10, "b"}, {math.huge}, {-math.huge},
  }
  for _, form in ipairs(forms) do
    tcp:settimeout(form[1], form[2])
    tcp:gettimeout()
  end
end)

scenario("bad arguments", function()
  local tcp = harness.object("tcp", socket.tcp())
  tcp:settimeout()
  tcp:settimeout("soon")
  tcp:settimeout({})
  tcp:settimeout(true)
  tcp:settimeout(1, "x")
  tcp:settimeout(1, "")
  tcp:settimeout(1, 5)
  tcp:settimeout(1, {})
  tcp:settimeout(1, "T")
  tcp:gettimeout()
end)

scenario("on every class", function()
  local client, conn, server = harness.tcp_pair()
  for _, object in ipairs{client, conn, server} do
    object:settimeout(3, "t")
    object:gettimeout()
  end
  local udp = harness.object("udp", socket.udp())
  udp:settimeout(1)
  udp:settimeout(2, "t")
  udp:gettimeout()
  udp:settimeout(1, "x")
end)

scenario("an accepted socket does not inherit", function()
  local server, port = harness.tcp_server()
  server:settimeout(5)
  server:settimeout(6, "t")
  local client = socket.tcp4()
  client:connect("127.0.0.1", port)
  harness.object("client", client)
  harness.object("conn", server:accept()):gettimeout()
end)

---@param object any
---@param call fun(object: any)
---@return boolean  whether it took about 20 ms and not far longer
local function waits(object, call)
  local start = socket.gettime()
  call(object)
  local spent = socket.gettime() - start
  return spent > 0.015 and spent < 0.5
end

scenario("timeouts bound the wait", function()
  local client, _, server = harness.tcp_pair()
  local raw_client, raw_server = harness.raw(client), harness.raw(server)
  raw_client:settimeout(0.02)
  show("receive, block", waits(raw_client, raw_client.receive))
  raw_client:settimeout(nil)
  raw_client:settimeout(0.02, "t")
  show("receive, total", waits(raw_client, raw_client.receive))
  raw_client:settimeout(9)
  show("receive, total below block", waits(raw_client, raw_client.receive))
  raw_client:settimeout(0.02)
  raw_client:settimeout(9, "t")
  show("receive, block below total", waits(raw_client, raw_client.receive))
  raw_server:settimeout(0.02)
  show("accept", waits(raw_server, raw_server.accept))
  local udp = harness.udp_bound("udp")
  harness.raw(udp):settimeout(0.02)
  show("receivefrom", waits(harness.raw(udp), harness.raw(udp).receivefrom))
  show("select", waits({raw_client}, function(list) socket.select(list, nil, 0.02) end))
  show("sleep", waits(nil, function() socket.sleep(0.02) end))
end)

scenario("the words of a timeout", function()
  local client, _, server = harness.tcp_pair()
  local udp = harness.udp_bound("udp")
  for _, seconds in ipairs{0, 0.001} do
    client:settimeout(seconds)
    client:receive()
    server:settimeout(seconds)
    server:accept()
    udp:settimeout(seconds)
    udp:receive()
    udp:receivefrom()
  end
end)
