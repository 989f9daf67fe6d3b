-- SPDX-License-Identifier: MIT
--
-- What the resolver reads and keeps: resolv.conf, the hosts file, its cache.

local cache = require "lariat.internal.dns.cache"
local config = require "lariat.internal.dns.config"
local hosts = require "lariat.internal.dns.hosts"
local task = require "lariat.task"

describe("resolv.conf", function()
  it("names servers, domains to search and options", function()
    local conf = config.parse [[
# a comment
; another
nameserver 192.0.2.1
nameserver   2001:db8::1   # the second
nameserver fe80::1%eth0
nameserver 192.0.2.4
domain old.example
search a.example b.example. .
options ndots:2 timeout:3 attempts:4 rotate edns0 use-vc
]]
    local texts = {}
    for i, server in ipairs(conf.servers) do texts[i] = server.text end
    assert.same({ "[192.0.2.1]:53", "[2001:db8::1]:53", "[fe80::1%eth0]:53" }, texts)
    assert.same({ "a.example", "b.example" }, conf.search)
    assert.same({ 2, 3, 4, true, true },
      { conf.ndots, conf.timeout, conf.attempts, conf.rotate, conf.tcp })
  end)

  it("that makes no sense is passed over, and bounded", function()
    local conf = config.parse("nameserver\nnameserver nonsense\nnameserver 1.2.3\nfrob\noptions " ..
      "ndots:99 timeout:0 attempts:x frob:1 timeout:999\n\0\xff\nsearch\n")
    assert.same({}, conf.servers)
    assert.same({}, conf.search)
    assert.same({ 15, 30, 2, false }, { conf.ndots, conf.timeout, conf.attempts, conf.rotate })
  end)

  it("gives servers ports, in brackets for IPv6", function()
    local function port_of(text)
      local server = config.server(text)
      return server and ("%s %d %s"):format(server.host, server.port, server.six)
    end
    assert.equal("192.0.2.1 5353 false", port_of "192.0.2.1:5353")
    assert.equal("::1 53 true", port_of "::1")
    assert.equal("::1 5353 true", port_of "[::1]:5353")
    for _, text in ipairs { "", ":53", "[::1]:0", "[::1]:65536", "1.2.3.4:", "a.test", "[",
      "::1]:53" } do
      assert.is_nil(port_of(text), text)
    end
  end)
end)

it("the hosts file has names of addresses and addresses of names", function()
  local known, names = hosts.parse [[
127.0.0.1 localhost loop # comment
::1	LocalHost ip6-localhost
# 192.0.2.1 nobody
192.0.2.2
192.0.2.3 one.example One
]]
  assert.same({ canonical = "localhost", { address = "127.0.0.1", family = "inet" },
    { address = "::1", family = "inet6" } }, known.localhost)
  assert.same({ canonical = "one.example", { address = "192.0.2.3", family = "inet" } }, known.one)
  assert.is_nil(known.nobody)
  assert.equal("localhost", names["127.0.0.1"])
  assert.is_nil(names["192.0.2.2"])
end)

describe("a cache", function()
  it("keeps what is used, within its bound", function()
    local c = cache.new(100)
    local later = task.now() + 1000
    c:put("used", "x", later)
    for i = 1, 10000 do
      c:put("key" .. i, i, later)
      assert.equal("x", (c:get "used"))
    end
    local n = 0
    for _, generation in ipairs { c.young, c.old } do
      for _ in pairs(generation) do n = n + 1 end
    end
    assert.is_true(n <= 100)
    assert.equal(10000, (c:get "key10000"))
    assert.is_nil((c:get "key1"))
  end)

  it("does not give what is out of date", function()
    local c = cache.new(100)
    c:put("old", "x", task.now() - 1)
    assert.is_nil((c:get "old"))
    c:put("old", "y", task.now() + 10)
    assert.equal("y", (c:get "old"))
  end)
end)
