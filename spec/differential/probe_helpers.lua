-- SPDX-License-Identifier: MIT
-- socket.bind, socket.connect and their kin; choose, and the sources and sinks made with it.

local socket = require "socket"
local harness = require "harness"
local scenario, show, settle, try = harness.scenario, harness.show, harness.settle, harness.try

local lib = harness.module("socket", socket)
local vague = harness.module("socket", socket, harness.mask_message)

--- Records a socket that a helper returned, and asks it who it is.
---@param label string
---@param object any
local function introduce(label, object)
  if not object then return nil end
  local recorded = harness.object(label, object)
  show("class", object.class)
  recorded:getsockname()
  recorded:getfamily()
  return recorded
end

scenario("bind", function()
  for _, host in ipairs{"127.0.0.1", "*", "localhost", "0.0.0.0"} do
    local server = introduce("server", lib.bind(host, 0))
    server:getoption("reuseaddr")
    server:gettimeout()
    server:close()
  end
  introduce("server", lib.bind("127.0.0.1", "0"))
  introduce("server", lib.bind("127.0.0.1", 0, 5))
end)

scenario("bind failures", function()
  local _, port = harness.tcp_server()
  lib.bind("127.0.0.1", port)
  lib.bind("192.0.2.1", 0)
  lib.bind("127.0.0.1", "no-such-service")
  vague.bind("no-such-host.invalid", 0)
  lib.bind("127.0.0.1")
  lib.bind("127.0.0.1", 0, "many")
end)

scenario("bind ipv6", function()
  if not harness.has_ipv6() then return end
  introduce("server", lib.bind("::1", 0))
  introduce("server", lib.bind("::", 0))
end)

scenario("connect", function()
  local server, port = harness.tcp_server()
  local client = introduce("client", lib.connect("127.0.0.1", port))
  client:gettimeout()
  client:getpeername()
  harness.object("conn", server:accept()):getpeername()
  introduce("client", lib.connect("localhost", port))
  introduce("client", lib.connect("127.0.0.1", tostring(port)))
  introduce("client", lib.connect4("127.0.0.1", port))
  introduce("client", lib.connect4("localhost", port))
end)

scenario("connect from a local address", function()
  local server, port = harness.tcp_server()
  local client = introduce("client", lib.connect("127.0.0.1", port, "127.0.0.2", 0))
  harness.object("conn", server:accept()):getpeername()
  client:getpeername()
  introduce("client", lib.connect("127.0.0.1", port, "127.0.0.2"))
  introduce("client", lib.connect("127.0.0.1", port, "127.0.0.2", "0"))
  introduce("client", lib.connect4("127.0.0.1", port, "127.0.0.3", 0))
  lib.connect("127.0.0.1", port, "192.0.2.1", 0)
  lib.connect("127.0.0.1", port, "127.0.0.1", port)
  lib.connect("127.0.0.1", port, {}, 0)
end)

scenario("connect failures", function()
  local port = harness.refusing_port()
  lib.connect("127.0.0.1", port)
  lib.connect4("127.0.0.1", port)
  lib.connect("localhost", port)
  lib.connect("127.0.0.1", "no-such-service")
  vague.connect("no-such-host.invalid", 80)
  vague.connect6("127.0.0.1", port)
  vague.connect4("::1", port)
end)

scenario("connect arguments", function()
  lib.connect()
  lib.connect("127.0.0.1")
  lib.connect(nil, 80)
  lib.connect({}, 80)
  lib.connect("127.0.0.1", {})
  lib.connect("127.0.0.1", 80, nil, nil, "bogus")
  lib.connect("127.0.0.1", 80, nil, nil, {})
end)

scenario("connect with a family", function()
  local _, port = harness.tcp_server()
  for _, family in ipairs{"inet", "inet4", "unspec", "inet6"} do
    local client = vague.connect("127.0.0.1", port, nil, nil, family)
    introduce("client", client)
  end
end)

scenario("connect ipv6", function()
  if not harness.has_ipv6() then return end
  local _, port = harness.tcp_server(socket.tcp6, "::1")
  introduce("client", lib.connect("::1", port))
  introduce("client", lib.connect6("::1", port))
  introduce("client", lib.connect("::1", port, "::1", 0))
end)

scenario("choose", function()
  local chosen = lib.choose({
    default = function(...) return "default", ... end,
    special = function(...) return "special", ... end,
  })
  try("no name", chosen)
  try("nil", chosen, nil, 1)
  try("number first", chosen, 1, 2, 3)
  try("named", chosen, "special", 1, 2, 3)
  try("default by name", chosen, "default", 1)
  try("unknown", function() local r = chosen("bogus") return r end)
  try("empty", function() local r = socket.choose({})(1) return r end)
end)

scenario("unknown sources and sinks", function()
  local client = harness.raw((harness.tcp_pair()))
  try("sink", function() local r = socket.sink("bogus", client) return r end)
  try("source", function() local r = socket.source("bogus", client) return r end)
end)

scenario("sink keep-open", function()
  local client, conn = harness.tcp_pair()
  for _, name in ipairs{"keep-open", "default"} do
    local sink = socket.sink(name, harness.raw(client))
    show("type", type(sink), type(sink.getfd()), sink.dirty())
    try("chunk", sink, "chunk\n")
    try("empty chunk", sink, "")
    try("end", sink, nil)
    try("end with an error", sink, nil, "an error")
    try("again", sink, "after\n")
    conn:receive()
    conn:receive()
  end
  try("without a name", socket.sink(harness.raw(client)), "unnamed\n")
  conn:receive()
end)

scenario("sink close-when-done", function()
  local client, conn = harness.tcp_pair()
  local sink = socket.sink("close-when-done", harness.raw(client))
  try("chunk", sink, "chunk\n")
  try("end", sink, nil)
  try("after the end", sink, "more")
  show("descriptor", sink.getfd())
  conn:receive("*a")
end)

scenario("source until-closed", function()
  for _, name in ipairs{"until-closed", "default"} do
    local client, conn = harness.tcp_pair()
    conn:send(("x"):rep(2048) .. "rest")
    conn:close()
    settle()
    local source = socket.source(name, harness.raw(client))
    show("type", type(source), type(source.getfd()), source.dirty())
    try("first", source)
    try("second", source)
    try("third", source)
    show("descriptor", source.getfd())
  end
end)

scenario("source until-closed of nothing", function()
  local client, conn = harness.tcp_pair()
  conn:close()
  local source = socket.source(harness.raw(client))
  try("first", source)
  try("second", source)
end)

scenario("source that times out", function()
  local client, conn = harness.tcp_pair()
  client:settimeout(0.001)
  conn:send("part")
  settle()
  local source = socket.source("until-closed", harness.raw(client))
  try("first", source)
  try("second", source)
  local counted = socket.source("by-length", harness.raw(client), 10)
  try("counted", counted)
end)

scenario("source by-length", function()
  local client, conn = harness.tcp_pair()
  conn:send(("x"):rep(2048) .. "0123456789")
  local source = socket.source("by-length", harness.raw(client), 2053)
  try("first", source)
  try("second", source)
  try("third", source)
  try("nothing", socket.source("by-length", harness.raw(client), 0))
  try("negative", socket.source("by-length", harness.raw(client), -1))
  conn:close()
  settle()
  source = socket.source("by-length", harness.raw(client), 100)
  try("cut", source)
  try("after the cut", source)
end)

scenario("block size", function()
  local client, conn = harness.tcp_pair()
  conn:send("0123456789")
  conn:close()
  local size = socket.BLOCKSIZE
  socket.BLOCKSIZE = 4
  local source = socket.source("until-closed", harness.raw(client))
  for i = 1, 4 do try("chunk " .. i, source) end
  socket.BLOCKSIZE = size
end)
