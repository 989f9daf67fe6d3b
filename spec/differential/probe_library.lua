-- SPDX-License-Identifier: MIT
-- What `require "socket"` and `require "socket.unix"` hold, and what the constructors make.

local socket = require "socket"
local harness = require "harness"
local scenario, show, try = harness.scenario, harness.show, harness.try

-- Only LuaSocket's own keys are asked for, so that additions do not show.
local MODULE_KEYS = {
  "BLOCKSIZE", "_DATAGRAMSIZE", "_SETSIZE", "_SOCKETINVALID", "_VERSION", "__unload", "bind",
  "choose", "connect", "connect4", "connect6", "dns", "gettime", "newtry", "protect", "select",
  "sink", "sinkt", "skip", "sleep", "source", "sourcet", "tcp", "tcp4", "tcp6", "try", "udp",
  "udp4", "udp6",
}
local DNS_KEYS = {"getaddrinfo", "gethostname", "getnameinfo", "tohostname", "toip"}
local UNIX_KEYS = {"dgram", "stream", "tcp", "udp"}

local METHODS = {
  tcp = {
    "accept", "bind", "close", "connect", "dirty", "getfamily", "getfd", "getoption",
    "getpeername", "getsockname", "getstats", "gettimeout", "listen", "receive", "send", "setfd",
    "setoption", "setpeername", "setsockname", "setstats", "settimeout", "shutdown",
  },
  udp = {
    "close", "dirty", "getfamily", "getfd", "getoption", "getpeername", "getsockname",
    "gettimeout", "receive", "receivefrom", "send", "sendto", "setfd", "setoption",
    "setpeername", "setsockname", "settimeout",
  },
  stream = {
    "accept", "bind", "close", "connect", "dirty", "getfd", "getsockname", "getstats", "listen",
    "receive", "send", "setfd", "setoption", "setpeername", "setsockname", "setstats",
    "settimeout", "shutdown",
  },
  dgram = {
    "bind", "close", "connect", "dirty", "getfd", "getsockname", "gettimeout", "receive",
    "receivefrom", "send", "sendto", "setfd", "setoption", "setpeername", "setsockname",
    "settimeout",
  },
}

---@param label string
---@param holder any
---@param keys string[]
local function show_types(label, holder, keys)
  for _, key in ipairs(keys) do show(label .. "." .. key, type(holder[key])) end
end

scenario("keys", function()
  show_types("socket", socket, MODULE_KEYS)
  show_types("dns", socket.dns, DNS_KEYS)
  show_types("unix", require "socket.unix", UNIX_KEYS)
  for _, mode in ipairs{"by-length", "until-closed", "default"} do
    show("sourcet." .. mode, type(socket.sourcet[mode]))
  end
  for _, mode in ipairs{"close-when-done", "keep-open", "default"} do
    show("sinkt." .. mode, type(socket.sinkt[mode]))
  end
end)

scenario("constants", function()
  show("_VERSION", socket._VERSION)
  show("_SOCKETINVALID", socket._SOCKETINVALID)
  show("BLOCKSIZE", socket.BLOCKSIZE)
  show("default source", socket.sourcet.default == socket.sourcet["until-closed"])
  show("default sink", socket.sinkt.default == socket.sinkt["keep-open"])
  show("stream is tcp", require "socket.unix".stream == require "socket.unix".tcp)
  show("dgram is udp", require "socket.unix".dgram == require "socket.unix".udp)
  show("required twice", require "socket" == socket)
end)

scenario("module as a function", function()
  try("socket()", function() return socket() end)
  try("socket.unix()", function() return (require "socket.unix"()) end)
end)

scenario("constructors", function()
  for _, name in ipairs{"tcp", "tcp4", "tcp6", "udp", "udp4", "udp6"} do
    local object, message = socket[name]()
    show(name, object, message)
    show(name .. " type", type(object))
    show(name .. ".class", object.class)
    show(name .. " family", object:getfamily())
    show(name .. " has a descriptor", object:getfd() >= 0)
    show(name .. " ignores arguments", (socket[name]("ignored", 1)))
    object:close()
  end
  for _, name in ipairs{"stream", "dgram", "tcp", "udp"} do
    local object, message = require "socket.unix"[name]()
    show(name, object, message)
    show(name .. ".class", object.class)
    show(name .. " has a descriptor", object:getfd() >= 0)
    object:close()
  end
end)

scenario("methods", function()
  local unix = require "socket.unix"
  local create = {tcp = socket.tcp, udp = socket.udp, stream = unix.stream, dgram = unix.dgram}
  for _, kind in ipairs{"tcp", "udp", "stream", "dgram"} do
    local object = create[kind]()
    show_types(kind, object, METHODS[kind])
    object:close()
  end
end)

scenario("objects as tables", function()
  local tcp = harness.raw(harness.object("tcp", socket.tcp4()))
  show("missing field", tcp.no_such_field)
  show("numeric field", tcp[1])
  try("assigning a field", function() tcp.field = 1 end)
  try("calling", function() tcp() end)
  try("length", function() return #tcp end)
  show("equal to itself", tcp == tcp)
  show("metatable.__name", getmetatable(tcp).__name)
end)

scenario("gettime", function()
  show("type", type(socket.gettime()))
  show("count", select("#", socket.gettime()))
  show("near os.time", math.abs(socket.gettime() - os.time()) < 5)
  show("does not go back", socket.gettime() <= socket.gettime())
end)

scenario("sleep", function()
  local lib = harness.module("socket", socket)
  lib.sleep(0)
  lib.sleep(-1)
  lib.sleep("0")
  lib.sleep(0.001)
  lib.sleep()
  lib.sleep(nil)
  lib.sleep("soon")
  lib.sleep({})
  lib.sleep(true)
end)

scenario("skip", function()
  local lib = harness.module("socket", socket)
  lib.skip(0, "a", "b")
  lib.skip(1, "a", "b", "c")
  lib.skip(2, "a", "b")
  lib.skip(3, "a", "b")
  lib.skip(9, "a")
  lib.skip(1, "a", nil, nil)
  lib.skip("1", "a", "b")
  lib.skip()
  lib.skip("many")
end)
