-- SPDX-License-Identifier: MIT
-- setoption and getoption: every option of every class, with good values, bad values, and names
-- that the class does not know.

local socket = require "socket"
local unix = require "socket.unix"
local harness = require "harness"
local scenario = harness.scenario

-- A value that is absent from a call, which is not the same as nil.
local ABSENT = {}

---@param object any
---@param name any
---@param value any
local function set(object, name, value)
  if value == ABSENT then object:setoption(name) else object:setoption(name, value) end
end

---@class OptionCase
---@field [1] string  the option
---@field [2] any[]  the values to set, each followed by a getoption
---@field untold boolean?  what getoption says first, or after odd values, depends on the machine
---@field unread boolean?  getoption does not know it

local BOOLEANS = {true, false, true, 1, 0, "on", ABSENT, {}}

---@type OptionCase[]
local TCP_OPTIONS = {
  {"keepalive", BOOLEANS},
  {"reuseaddr", BOOLEANS},
  {"reuseport", {true, false, ABSENT}},
  {"tcp-nodelay", {true, false, true, 1, ABSENT}, untold = true},
  {"tcp-keepidle", {60, 0, -1, "30", ABSENT, true, 1.9}, untold = true},
  {"tcp-keepcnt", {5, 0, 200, "7", ABSENT}, untold = true},
  {"tcp-keepintvl", {10, 0, 99999, ABSENT}, untold = true},
  {"tcp-defer-accept", {1, 0, ABSENT}, unread = true},
  {"tcp-fastopen", {5, 0, ABSENT}, unread = true},
  {"tcp-fastopen-connect", {1, 0, ABSENT}, unread = true},
  {"recv-buffer-size", {4096, "4096", ABSENT}, untold = true},
  {"send-buffer-size", {4096, "4096", ABSENT}, untold = true},
  {"ipv6-v6only", {true, false}, unread = true},
  {"bindtodevice", {"lo", ABSENT}},
  {"error", {true}},
  {"linger", {
    {on = true, timeout = 5}, {on = false, timeout = 0}, {on = true, timeout = 0},
    {on = true, timeout = "3"}, {on = true, timeout = 2.7}, {}, {on = true}, {timeout = 1},
    {on = 1, timeout = 1}, {on = true, timeout = "long"}, true, 5, ABSENT,
  }},
}

---@type OptionCase[]
local UDP_OPTIONS = {
  {"dontroute", BOOLEANS},
  {"broadcast", BOOLEANS},
  {"reuseaddr", BOOLEANS},
  {"reuseport", {true, false, ABSENT}},
  {"ip-multicast-ttl", {4, 0, 255, 256, -1, "3", ABSENT}, unread = true},
  {"ip-multicast-if", {"127.0.0.1", "*", "0.0.0.0", "300.1.1.1", "name", 5, ABSENT}},
  {"ip-multicast-loop", {false, true, 0, ABSENT}},
  {"ip-add-membership", {
    {multiaddr = "239.1.2.3", interface = "127.0.0.1"},
    {multiaddr = "239.1.2.3", interface = "127.0.0.1"},
    {multiaddr = "127.0.0.1", interface = "127.0.0.1"},
    {multiaddr = "239.1.2.3", interface = "nowhere"},
    {multiaddr = "nobody", interface = "127.0.0.1"},
    {multiaddr = "239.1.2.3"}, {interface = "127.0.0.1"}, {}, "239.1.2.3", ABSENT,
  }, unread = true},
  {"ip-drop-membership", {
    {multiaddr = "239.1.2.3", interface = "127.0.0.1"},
    {multiaddr = "239.1.2.3"}, {}, ABSENT,
  }, unread = true},
  {"recv-buffer-size", {4096, ABSENT}, untold = true},
  {"send-buffer-size", {4096, ABSENT}, untold = true},
  {"error", {true}},
}

---@type OptionCase[]
local UDP6_OPTIONS = {
  {"ipv6-unicast-hops", {7, -1, 256, 255, "9", ABSENT}},
  {"ipv6-multicast-hops", {5, 255, ABSENT}},
  {"ipv6-multicast-loop", {false, true, 1, ABSENT}},
  {"ipv6-v6only", {true, false, ABSENT}},
  {"ipv6-add-membership", {
    {multiaddr = "ff01::1:7", interface = 1}, {multiaddr = "ff01::1:7", interface = 1},
    {multiaddr = "ff01::1:8", interface = "1"}, {multiaddr = "::1", interface = 1},
    {multiaddr = "nobody"}, {interface = 1}, {}, "ff01::1:7", ABSENT,
  }, unread = true},
  {"ipv6-drop-membership", {
    {multiaddr = "ff01::1:7", interface = 1}, {multiaddr = "ff01::1:7", interface = 9999},
    {multiaddr = "nobody"}, {}, ABSENT,
  }, unread = true},
  {"broadcast", {true}},
  {"ip-multicast-ttl", {4}},
}

---@param kind string
---@param create fun(): any
---@param cases OptionCase[]
local function probe_options(kind, create, cases)
  for _, case in ipairs(cases) do
    local name, values = case[1], case[2]
    scenario(kind .. " " .. name, function()
      local object = harness.object(kind, create())
      if not case.untold then object:getoption(name) end
      for _, value in ipairs(values) do
        set(object, name, value)
        local known = not case.untold or type(value) == "boolean" or math.type(value) == "integer"
        if known and not case.unread then object:getoption(name) end
      end
    end)
  end
end

probe_options("tcp", socket.tcp4, TCP_OPTIONS)
probe_options("udp", socket.udp4, UDP_OPTIONS)

local ipv6 = false
scenario("ipv6 udp", function() ipv6 = harness.has_ipv6() end)
if ipv6 then probe_options("udp6", socket.udp6, UDP6_OPTIONS) end

scenario("ipv6 tcp", function()
  if not harness.has_ipv6() then return end
  local tcp = harness.object("tcp6", socket.tcp6())
  tcp:getoption("ipv6-v6only")
  tcp:setoption("ipv6-v6only", false)
  tcp:getoption("ipv6-v6only")
  tcp:setoption("ipv6-v6only", "yes")
  local udp = harness.object("udp6", socket.udp6())
  udp:getoption("ipv6-v6only")
end)

scenario("joining and leaving", function()
  local udp = harness.object("udp", socket.udp4())
  local group = {multiaddr = "239.1.2.4", interface = "127.0.0.1"}
  udp:setoption("ip-add-membership", group)
  udp:setoption("ip-drop-membership", group)
  udp:setoption("ip-drop-membership", group)
  if not harness.has_ipv6() then return end
  local udp6 = harness.object("udp6", socket.udp6())
  local group6 = {multiaddr = "ff01::1:9", interface = 1}
  udp6:setoption("ipv6-add-membership", group6)
  udp6:setoption("ipv6-drop-membership", group6)
  udp6:setoption("ipv6-drop-membership", group6)
end)

scenario("hops for one are hops for all", function()
  if not harness.has_ipv6() then return end
  local udp = harness.object("udp6", socket.udp6())
  udp:setoption("ipv6-multicast-hops", 11)
  udp:getoption("ipv6-unicast-hops")
  udp:setoption("ipv6-unicast-hops", 12)
  udp:getoption("ipv6-multicast-hops")
end)

scenario("names", function()
  local tcp = harness.object("tcp", socket.tcp4())
  local udp = harness.object("udp", socket.udp4())
  for _, name in ipairs{
    "bogus", "", "KEEPALIVE", "keep-alive", "broadcast", "tcp-keepidl", "linger ",
    "a name so long that the message would not have room for the whole of it",
  } do
    tcp:setoption(name, true)
    tcp:getoption(name)
  end
  for _, name in ipairs{"bogus", "tcp-nodelay", "keepalive", "linger", "bindtodevice"} do
    udp:setoption(name, true)
    udp:getoption(name)
  end
  tcp:setoption(nil, true)
  tcp:setoption(5, true)
  tcp:setoption({}, true)
  tcp:getoption(nil)
  tcp:getoption({})
  tcp:getoption("keepalive", "ignored")
end)

scenario("on each state of a stream", function()
  local client, conn, server = harness.tcp_pair()
  for _, object in ipairs{client, conn, server} do
    object:setoption("keepalive", true)
    object:getoption("keepalive")
    object:setoption("tcp-nodelay", true)
    object:getoption("tcp-nodelay")
    object:getoption("linger")
    object:getoption("error")
  end
end)

scenario("with no descriptor", function()
  local tcp = harness.object("tcp", socket.tcp())
  local udp = harness.object("udp", socket.udp())
  for _, name in ipairs{"keepalive", "reuseaddr", "tcp-nodelay"} do
    tcp:setoption(name, true)
    tcp:getoption(name)
  end
  tcp:setoption("linger", {on = true, timeout = 1})
  tcp:getoption("linger")
  tcp:getoption("error")
  tcp:setoption("bogus", true)
  for _, name in ipairs{"broadcast", "reuseaddr", "dontroute"} do
    udp:setoption(name, true)
    udp:getoption(name)
  end
  udp:getoption("error")
  udp:getoption("ip-multicast-if")
end)

scenario("unix", function()
  local stream = harness.object("stream", unix.stream())
  local dgram = harness.object("dgram", unix.dgram())
  for _, object in ipairs{stream, dgram} do
    object:setoption("keepalive", true)
    object:setoption("reuseaddr", true)
    object:setoption("linger", {on = true, timeout = 1})
    object:setoption("linger", true)
    object:setoption("tcp-nodelay", true)
    object:setoption("bogus", true)
    object:setoption()
  end
end)

scenario("reuseport lets two listen", function()
  local first = harness.object("first", socket.tcp4())
  local second = harness.object("second", socket.tcp4())
  first:setoption("reuseport", true)
  second:setoption("reuseport", true)
  first:bind("127.0.0.1", 0)
  first:listen()
  local _, port = harness.raw(first):getsockname()
  second:bind("127.0.0.1", port)
  second:listen()
end)
