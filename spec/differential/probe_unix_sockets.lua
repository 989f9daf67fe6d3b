-- SPDX-License-Identifier: MIT
-- Streams and datagrams in the file system.

local unix = require "socket.unix"
local harness = require "harness"
local scenario, show, settle = harness.scenario, harness.show, harness.settle

local used = {}

--- A path of this name that nothing occupies.
---@param name string
---@return string
local function path(name)
  local full = harness.SCRATCH .. "." .. name
  os.remove(full)
  used[#used + 1] = full
  return full
end

local TOO_LONG = "/tmp/" .. ("x"):rep(150)
local LONGEST = ("x"):rep(107)

---@param label string
local function stream(label)
  local object = assert(unix.stream())
  object:settimeout(harness.PATIENCE)
  return harness.object(label, object)
end

---@param label string
local function dgram(label)
  local object = assert(unix.dgram())
  object:settimeout(harness.PATIENCE)
  return harness.object(label, object)
end

---@param recorded any
local function show_class(recorded)
  show("class", harness.raw(recorded).class, (tostring(harness.raw(recorded)):gsub(":.*", "")))
end

---@param name string
---@return any client, any conn, any server
local function stream_pair(name)
  local server = assert(unix.stream())
  assert(server:bind(path(name)))
  assert(server:listen())
  server:settimeout(harness.PATIENCE)
  local client = assert(unix.stream())
  client:settimeout(harness.PATIENCE)
  assert(client:connect(harness.SCRATCH .. "." .. name))
  local conn = assert(server:accept())
  conn:settimeout(harness.PATIENCE)
  return harness.object("client", client), harness.object("conn", conn),
    harness.object("server", server)
end

scenario("stream life", function()
  local where = path "life"
  local server = stream "server"
  show_class(server)
  server:bind(where)
  show_class(server)
  server:getsockname()
  server:listen()
  show_class(server)
  server:settimeout(0)
  server:accept()
  local client = stream "client"
  client:connect(where)
  show_class(client)
  client:getsockname()
  local conn = harness.object("conn", server:accept())
  show_class(conn)
  conn:getsockname()
  client:send("one\r\ntwo")
  conn:receive()
  conn:dirty()
  client:close()
  conn:receive()
  conn:receive("*a")
  conn:send("late")
  conn:close()
  server:close()
  server:accept()
end)

scenario("stream receive and send", function()
  local client, conn = stream_pair "receive"
  client:send("0123456789", 3, 6)
  conn:receive(2)
  conn:receive(4, "ab")
  client:send("line\nrest")
  conn:receive("*l", "a ")
  client:shutdown("send")
  client:send("more")
  conn:receive("*a", "the ")
  conn:receive("*a")
  conn:getstats()
  conn:setstats(1, 2, 3)
  conn:getstats()
  conn:receive("bogus")
  conn:send()
  conn:shutdown("bogus")
  conn:shutdown("receive")
  conn:shutdown()
end)

scenario("stream timeouts", function()
  local client = stream_pair "timeouts"
  client:settimeout(0)
  client:receive()
  client:receive(3)
  client:receive("*a", "prefix")
  client:settimeout(0.001, "t")
  client:receive()
  client:settimeout(1, "x")
end)

scenario("stream to a peer that closed", function()
  local client, conn = stream_pair "closed"
  conn:close()
  client:send("first")
  client:send("second")
  client:receive()
end)

scenario("stream to a peer that closed with bytes unread", function()
  local client, conn = stream_pair "unread"
  client:send("unread")
  settle()
  conn:close()
  client:receive()
  client:receive()
end)

scenario("stream bind", function()
  local where = path "bind"
  stream("first"):bind(where)
  stream("second"):bind(where)
  local third = stream "third"
  third:bind(where)
  third:getfd()
  third:bind(path "other")
  show_class(third)
  stream("stream"):bind(TOO_LONG)
  stream("stream"):bind("/no/such/directory/socket")
  stream("stream"):bind()
  stream("stream"):bind(nil)
  stream("stream"):bind({})
  local long = stream "long"
  long:bind(TOO_LONG)
  show("still open", harness.raw(long):getfd() >= 0)
  stream("longest"):connect(LONGEST)
  stream("too long"):connect(LONGEST .. "x")
end)

scenario("stream connect", function()
  local where = path "nobody"
  local missing = stream "missing"
  missing:connect(where)
  show_class(missing)
  missing:getfd()
  missing:send("text")
  local bound = stream "bound"
  bound:bind(where)
  local refused = stream "refused"
  refused:connect(where)
  show_class(refused)
  stream("stream"):connect(TOO_LONG)
  stream("stream"):connect("")
  stream("stream"):connect()
  stream("stream"):connect({})
  stream("stream"):connect("/etc/passwd")
  local client = stream_pair "connected"
  client:connect(where)
end)

scenario("stream listen", function()
  local server = stream "server"
  server:listen()
  show_class(server)
  local bound = stream "bound"
  bound:bind(path "listen")
  bound:listen("many")
  bound:listen(5)
  bound:listen()
end)

scenario("stream names", function()
  local where = path "names"
  local client = stream "client"
  client:bind(where)
  client:getsockname()
  local server = stream "server"
  server:bind(path "names-server")
  server:listen()
  client:connect(harness.SCRATCH .. ".names-server")
  harness.object("conn", server:accept()):getsockname()
end)

scenario("wrong kinds at a path", function()
  local where = path "wrong"
  dgram("dgram"):bind(where)
  stream("stream"):connect(where)
  local other = path "other-wrong"
  local server = stream "server"
  server:bind(other)
  server:listen()
  dgram("dgram"):connect(other)
  -- not probed: sendto here spins forever in LuaSocket, which retries on EPROTOTYPE
end)

scenario("datagrams", function()
  local where, back = path "dgram", path "dgram-back"
  local a, b = dgram "a", dgram "b"
  show_class(a)
  a:getsockname()
  a:bind(where)
  a:getsockname()
  show_class(a)
  b:sendto("unnamed", where)
  a:receivefrom()
  b:bind(back)
  b:sendto("named", where)
  local _, from = a:receivefrom()
  a:sendto("answer", from or back)
  b:receive()
  b:sendto("", where)
  b:sendto("0123456789", where)
  b:sendto("0123456789", where)
  a:receive()
  a:receive(4)
  a:receivefrom(3)
  a:settimeout(0)
  a:receive()
  a:receivefrom()
  a:dirty()
end)

scenario("connected datagrams", function()
  local where = path "peer"
  local a, b = dgram "a", dgram "b"
  a:bind(where)
  b:send("text")
  b:connect(where)
  show_class(b)
  b:send("text")
  b:sendto("text", where)
  b:receivefrom()
  a:receive()
  b:send("")
  a:receive()
  b:send()
  b:connect(where)
  b:bind(where)
  a:close()
  b:send("nobody")
  b:send("nobody")
  b:settimeout(0)
  b:receive()
end)

scenario("datagram errors", function()
  local a = dgram "a"
  a:sendto("text", path "missing")
  a:sendto("text", TOO_LONG)
  a:sendto("text", "")
  a:sendto("text")
  a:sendto()
  a:sendto("text", {})
  a:bind(TOO_LONG)
  a:bind()
  a:connect()
  a:connect(TOO_LONG)
  a:getfd()
  a:connect(path "missing")
  a:getfd()
  show_class(a)
  local b, where = dgram "b", path "taken"
  b:bind(where)
  local c = dgram "c"
  c:bind(where)
  c:getfd()
  c:sendto("text", where)
  b:bind(path "twice")
end)

for _, full in ipairs(used) do os.remove(full) end
