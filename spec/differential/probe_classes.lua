-- SPDX-License-Identifier: MIT
-- Every method on every class: which classes refuse it, and in which words. Also methods taken
-- from one object and given another, and every method of a closed object.

local socket = require "socket"
local unix = require "socket.unix"
local harness = require "harness"
local scenario = harness.scenario

---@class ClassCase
---@field create fun(): any
---@field class string  the class of what create makes
---@field methods string[]  called with no argument

local TCP_METHODS = {
  "accept", "bind", "connect", "dirty", "getfamily", "getfd", "getoption", "getpeername",
  "getsockname", "getstats", "gettimeout", "listen", "receive", "send", "setfd", "setoption",
  "setpeername", "setsockname", "setstats", "settimeout", "shutdown",
}
local UDP_METHODS = {
  "dirty", "getfamily", "getfd", "getoption", "getpeername", "getsockname", "gettimeout",
  "receive", "receivefrom", "send", "sendto", "setfd", "setoption", "setpeername", "setsockname",
  "settimeout",
}
local STREAM_METHODS = {
  "accept", "bind", "connect", "dirty", "getfd", "getsockname", "getstats", "listen", "receive",
  "send", "setfd", "setoption", "setpeername", "setsockname", "setstats", "settimeout",
  "shutdown",
}
local DGRAM_METHODS = {
  "bind", "connect", "dirty", "getfd", "getsockname", "gettimeout", "receive", "receivefrom",
  "send", "sendto", "setfd", "setoption", "setpeername", "setsockname", "settimeout",
}

local function tcp_client()
  local client = harness.tcp_pair()
  return harness.raw(client)
end

local function tcp_server() return harness.raw((harness.tcp_server())) end

local function udp_connected()
  local udp = socket.udp4()
  udp:setsockname("127.0.0.1", 0)
  udp:setpeername("127.0.0.1", 9)
  return udp
end

local function udp_bound()
  local udp = socket.udp4()
  udp:setsockname("127.0.0.1", 0)
  return udp
end

local function stream_server()
  local server = unix.stream()
  os.remove(harness.SCRATCH .. ".class")
  server:bind(harness.SCRATCH .. ".class")
  server:listen()
  return server
end

local function stream_client()
  local server = harness.raw(harness.object("server", stream_server()))
  local client = unix.stream()
  client:connect(harness.SCRATCH .. ".class")
  harness.object("conn", server:accept())
  return client
end

---@type ClassCase[]
local CASES = {
  {class = "tcp{master}", create = socket.tcp4, methods = TCP_METHODS},
  {class = "tcp{server}", create = tcp_server, methods = TCP_METHODS},
  {class = "tcp{client}", create = tcp_client, methods = TCP_METHODS},
  {class = "udp{unconnected}", create = udp_bound, methods = UDP_METHODS},
  {class = "udp{connected}", create = udp_connected, methods = UDP_METHODS},
  {class = "unixstream{master}", create = unix.stream, methods = STREAM_METHODS},
  {class = "unixstream{server}", create = stream_server, methods = STREAM_METHODS},
  {class = "unixstream{client}", create = stream_client, methods = STREAM_METHODS},
  {class = "unixdgram{unconnected}", create = unix.dgram, methods = DGRAM_METHODS},
}

-- Each method runs on an object of its own: some of them change the class.
for _, case in ipairs(CASES) do
  scenario(case.class, function()
    for _, method in ipairs(case.methods) do
      local object = case.create()
      object:settimeout(0)
      local recorded = harness.object("object", object)
      recorded[method](recorded)
      harness.show("class after " .. method, object.class, object)
    end
  end)
end
os.remove(harness.SCRATCH .. ".class")

local CLOSED = {
  {class = "tcp{master}", create = socket.tcp4, calls = {
    {"bind", "127.0.0.1", 0}, {"connect", "127.0.0.1", 9}, {"listen"}, {"getsockname"},
    {"getpeername"}, {"getfd"}, {"settimeout", 1}, {"setoption", "keepalive", true},
    {"getoption", "keepalive"}, {"getfamily"}, {"close"}, {"close"},
  }},
  {class = "tcp{server}", create = tcp_server, calls = {
    {"accept"}, {"getsockname"}, {"getpeername"}, {"getfd"}, {"getfamily"}, {"settimeout", 1},
    {"gettimeout"}, {"setoption", "reuseaddr", true}, {"getoption", "reuseaddr"}, {"dirty"},
    {"close"},
  }},
  {class = "tcp{client}", create = tcp_client, calls = {
    {"receive"}, {"receive", "*a"}, {"receive", 5}, {"receive", 0}, {"receive", "*l", "prefix"},
    {"receive", "*a", "prefix"}, {"receive", 5, "prefix"}, {"receive", "bogus"}, {"send", "text"},
    {"send", ""}, {"shutdown"}, {"shutdown", "send"}, {"getpeername"}, {"getsockname"},
    {"getstats"}, {"setstats", 1, 2}, {"dirty"}, {"getfd"}, {"getfamily"},
    {"setoption", "tcp-nodelay", true}, {"getoption", "tcp-nodelay"}, {"getoption", "error"},
    {"setoption", "linger", {on = true, timeout = 1}}, {"getoption", "linger"}, {"close"},
  }},
  {class = "udp{unconnected}", create = udp_bound, calls = {
    {"receive"}, {"receivefrom"}, {"sendto", "text", "127.0.0.1", 9},
    {"sendto", "", "127.0.0.1", 9},
    {"getsockname"}, {"getpeername"}, {"setsockname", "127.0.0.1", 0}, {"getfd"}, {"dirty"},
    {"setoption", "broadcast", true}, {"getoption", "broadcast"}, {"setpeername", "*"}, {"close"},
  }},
  {class = "udp{connected}", create = udp_connected, calls = {
    {"receive"}, {"send", "text"}, {"getpeername"}, {"getsockname"}, {"setpeername", "*"},
    {"close"},
  }},
  {class = "unixstream{client}", create = stream_client, calls = {
    {"receive"}, {"send", "text"}, {"shutdown"}, {"getsockname"}, {"getstats"}, {"getfd"},
    {"close"},
  }},
  {class = "unixdgram{unconnected}", create = unix.dgram, calls = {
    {"receive"}, {"receivefrom"}, {"sendto", "text", "/nowhere"}, {"getsockname"}, {"getfd"},
    {"close"},
  }},
}

for _, case in ipairs(CLOSED) do
  scenario("closed " .. case.class, function()
    local object = harness.object("object", case.create())
    harness.raw(object):settimeout(0)
    object:close()
    for _, call in ipairs(case.calls) do
      object[call[1]](object, table.unpack(call, 2))
    end
    harness.show("class", harness.raw(object).class, harness.raw(object))
  end)
end
os.remove(harness.SCRATCH .. ".class")

scenario("methods given something else", function()
  local tcp = harness.raw(harness.object("tcp", socket.tcp4()))
  local udp = harness.raw(harness.object("udp", socket.udp4()))
  local client = tcp_client()
  local methods = harness.module("tcp", client)
  methods.receive()
  methods.receive(nil)
  methods.receive(42)
  methods.receive("text")
  methods.receive({})
  methods.receive(io.stdout == nil)
  methods.receive(tcp)
  methods.receive(udp)
  methods.close()
  methods.close(udp)
  methods.settimeout({}, 1)
  methods.getsockname(udp)
  methods.accept(client)
  methods.bind(client)
  local others = harness.module("udp", udp)
  others.receive(tcp)
  others.sendto(tcp)
  others.send(udp, "text")
  others.close(client)
end)
