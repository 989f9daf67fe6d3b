-- SPDX-License-Identifier: MIT
-- socket.dns. Names that only this machine's files answer; unknown ones print no words.

local socket = require "socket"
local harness = require "harness"
local scenario, show = harness.scenario, harness.show

local dns = harness.module("dns", socket.dns)
local vague = harness.module("dns", socket.dns, harness.mask_message)

scenario("toip", function()
  dns.toip("127.0.0.1")
  dns.toip("localhost")
end)

scenario("tohostname", function()
  dns.tohostname("127.0.0.1")
  dns.tohostname("localhost")
end)

scenario("getaddrinfo", function()
  dns.getaddrinfo("127.0.0.1")
  dns.getaddrinfo("localhost")
  dns.getaddrinfo("::1")
  dns.getaddrinfo("0.0.0.0")
  dns.getaddrinfo("127.1")
  dns.getaddrinfo("*")
  dns.getaddrinfo("127.0.0.1", "ignored")
  dns.getaddrinfo("::ffff:127.0.0.1")
end)

scenario("getnameinfo", function()
  dns.getnameinfo("127.0.0.1")
  dns.getnameinfo("localhost")
  dns.getnameinfo("127.0.0.1", "80")
  dns.getnameinfo("127.0.0.1", 80)
  dns.getnameinfo(nil, "80")
  dns.getnameinfo("127.0.0.1", nil)
  dns.getnameinfo("127.0.0.1", "1")
  vague.getnameinfo("127.0.0.1", "no-such-service")
end)

scenario("unknown names", function()
  vague.toip("no-such-host.invalid")
  vague.tohostname("no-such-host.invalid")
  vague.getaddrinfo("no-such-host.invalid")
  vague.getnameinfo("no-such-host.invalid")
  vague.toip("")
  vague.getaddrinfo("")
end)

scenario("gethostname", function()
  local name, extra = socket.dns.gethostname()
  show("type", type(name), extra)
  show("count", select("#", socket.dns.gethostname()))
  show("not empty", #name > 0)
end)

scenario("arguments", function()
  for _, name in ipairs{"toip", "tohostname", "getaddrinfo"} do
    dns[name]()
    dns[name](nil)
    dns[name]({})
    dns[name](true)
  end
  dns.getnameinfo()
  dns.getnameinfo(nil, nil)
  dns.getnameinfo({})
  dns.getnameinfo("127.0.0.1", {})
end)
