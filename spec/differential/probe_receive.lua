-- SPDX-License-Identifier: MIT
-- receive: the patterns, prefixes and partial results of a stream.

local socket = require "socket"
local harness = require "harness"
local scenario, settle = harness.scenario, harness.settle

--- A reader with these bytes on their way, and the other end still open.
---@param bytes string
---@return any client, any conn
local function reader(bytes)
  local client, conn = harness.tcp_pair()
  assert(harness.raw(conn):send(bytes))
  settle()
  client:settimeout(0.01)
  return client, conn
end

--- The same with the other end closed behind the bytes.
---@param bytes string
---@return any client
local function last_reader(bytes)
  local client, conn = harness.tcp_pair()
  assert(harness.raw(conn):send(bytes))
  harness.raw(conn):close()
  settle()
  return client
end

scenario("lines", function()
  local client = reader "first\nsecond\n\nfourth\n"
  client:receive()
  client:receive("*l")
  client:receive("*l")
  client:receive(nil)
  client:receive()
end)

scenario("lines end in CR LF or LF, and lose every CR", function()
  local client = reader "crlf\r\nlone\rcr\n\r\r\n\r\n\r"
  for _ = 1, 5 do client:receive() end
  client = reader "kept\r\nhere\r"
  client:receive(6)
  client:receive("*a")
end)

scenario("line split between segments", function()
  local client, conn = reader "one, "
  client:receive()
  conn:send("two\r")
  settle()
  client:receive()
  conn:send("\nthree\n")
  settle()
  client:receive()
  client:receive()
end)

scenario("line cut by a timeout, then resumed with its prefix", function()
  local client, conn = reader "one, "
  local _, _, partial = client:receive("*l")
  conn:send("two\n")
  settle()
  client:receive("*l", partial)
end)

scenario("line cut by the end", function()
  local client = last_reader "whole\ncut"
  client:receive()
  client:receive()
  client:receive()
end)

scenario("line cut by the end, with a prefix", function()
  local client = last_reader "cut"
  client:receive("*l", "so ")
  client:receive("*l", "so ")
end)

scenario("binary lines", function()
  local client = reader "nul \0 byte\n\255\254\128\n\0\n"
  client:receive()
  client:receive()
  client:receive()
end)

scenario("counts", function()
  local client = reader "0123456789abcdef"
  client:receive(0)
  client:receive(1)
  client:receive(2.0)
  client:receive("3")
  client:receive("0x2")
  client:receive(2.7)
  client:receive(" 1 ")
  client:receive(100)
  client:receive(100)
end)

scenario("count of zero", function()
  local client, conn = harness.tcp_pair()
  client:settimeout(0.01)
  client:receive(0)
  client:receive(0, "prefix")
  conn:send("x")
  settle()
  client:receive(0)
  client:receive(1)
  conn:close()
  settle()
  client:receive(0)
end)

scenario("counts against prefixes", function()
  local client = reader "0123456789"
  client:receive(3, "")
  client:receive(5, "abc")
  client:receive(3, "abc")
  client:receive(2, "abc")
  client:receive(0, "abc")
  client:receive(100, "abc")
  client:receive(3, "abc")
end)

scenario("prefixes of other types", function()
  local client = reader "line\nline\nline\n"
  client:receive("*l", 12)
  client:receive("*l", nil)
  client:receive("*l", {})
  client:receive("*l", true)
  client:receive("*l", "a\0b")
end)

scenario("invalid patterns", function()
  local client = reader "line\n"
  client:receive("bogus")
  client:receive("*x")
  client:receive("*")
  client:receive("")
  client:receive(-1)
  client:receive(-0.5)
  client:receive("-1")
  client:receive({})
  client:receive(true)
  client:receive(print)
  client:receive("bogus", "prefix")
  client:receive()
end)

scenario("what patterns with tails mean", function()
  local client = reader "one\ntwo\nthree"
  client:receive("*line")
  client:receive("*l ")
  client:receive("*all")
end)

scenario("everything", function()
  local client = last_reader "all\nof\r\nit"
  client:receive("*a")
  client:receive("*a")
  client:receive("*a", "prefix")
end)

scenario("everything of nothing", function()
  local client = last_reader ""
  client:receive("*a")
end)

scenario("everything of nothing, with a prefix", function()
  local client = last_reader ""
  client:receive("*a", "prefix")
  client:receive("*a", "")
end)

scenario("everything, cut by a timeout", function()
  local client, conn = reader "so far"
  local _, _, partial = client:receive("*a")
  conn:send(" and more")
  conn:close()
  settle()
  client:receive("*a", partial)
end)

scenario("everything, with a prefix", function()
  local client = last_reader "rest"
  client:receive("*a", "start and ")
end)

scenario("everything with nothing there", function()
  local client = reader ""
  client:receive("*a")
  client:receive("*a", "prefix")
  client:receive(3)
  client:receive("*l")
  client:receive("*l", "prefix")
  client:receive(3, "ab")
  client:receive(2, "ab")
end)

scenario("count cut by the end", function()
  local client = last_reader "abc"
  client:receive(5)
  client:receive(5)
  client:receive(0)
  client:receive(1)
  client:receive("*l")
end)

scenario("count cut by the end, with a prefix", function()
  local client = last_reader "abc"
  client:receive(9, "12")
  client:receive(9, "12")
  client:receive(2, "12")
end)

scenario("patterns in turn on one segment", function()
  local client = last_reader "line\r\n12345more\nrest"
  client:receive("*l")
  client:receive(5)
  client:receive("*l")
  client:dirty()
  client:receive("*a")
  client:dirty()
  client:receive("*a")
end)

scenario("dirty", function()
  local client, conn, server = harness.tcp_pair()
  client:dirty()
  conn:send("one\ntwo\n")
  settle()
  client:dirty()
  client:receive()
  client:dirty()
  client:receive()
  client:dirty()
  server:dirty()
end)

scenario("without waiting", function()
  local client, conn = harness.tcp_pair()
  client:settimeout(0)
  client:receive()
  client:receive("*a")
  client:receive(4)
  conn:send("now")
  settle()
  client:receive()
  conn:send("again\n")
  settle()
  client:receive()
end)

scenario("more than a buffer", function()
  local client, conn = harness.tcp_pair()
  local line = ("x"):rep(9000)
  conn:send(line .. "\n" .. line)
  conn:close()
  client:receive(4000)
  client:receive("*l")
  client:receive("*a")
end)

scenario("line of the buffer's size", function()
  local client, conn = harness.tcp_pair()
  for _, size in ipairs{8191, 8192, 8193} do
    conn:send(("x"):rep(size) .. "\n")
    client:receive()
  end
  conn:send(("y"):rep(8191) .. "\r\nafter\n")
  client:receive()
  client:receive()
end)

scenario("arguments beyond the prefix", function()
  local client = reader "line\nline\n"
  client:receive("*l", "", "ignored")
  client:receive("*l", nil, nil, nil)
end)

scenario("stream over ipv6", function()
  if not harness.has_ipv6() then return end
  local client, conn = harness.tcp_pair(socket.tcp6, "::1")
  conn:send("six\r\nrest")
  conn:close()
  client:receive()
  client:receive("*a")
end)

scenario("after a failed receive the stream goes on", function()
  local client, conn = reader "par"
  client:receive("*l")
  conn:send("tial\nnext\n")
  settle()
  client:receive("*l")
  client:receive("*l")
end)
