-- SPDX-License-Identifier: MIT
--
-- What specs of libraries need: real servers of their own, and a way to show that ten requests wait
-- at once while everybody else goes on, by counting and without a clock.
--
--   local redis <close> = peers.start({ "redis-server", "--port", port }, port)
--   local ticker <close> = peers.ticker()
--   local crowd = peers.crowd(10, ticker)   -- crowd:enter() returns when ten are inside

local core = require "lariat.core".task
local lariat = require "lariat"
local net = require "spec.support.net"
local socket = require "socket"
local task = require "lariat.task"

local peers = {}

--- A port of the loopback address that is free now.
---@return integer
function peers.free_port()
  local server <close> = assert(socket.bind("127.0.0.1", 0))
  return (select(2, server:getsockname()))
end

--- Requires a library in plain Lua that Debian installs for other versions of Lua only.
---@param name string
---@return any
function peers.require(name)
  local path = package.path
  local restore <close> = setmetatable({}, { __close = function() package.path = path end })
  assert(restore)
  for _, version in ipairs { "5.3", "5.2", "5.1" } do
    package.path = ("%s;/usr/share/lua/%s/?.lua"):format(package.path, version)
  end
  return require(name)
end

local function run(...)
  local child <close> = assert(lariat.run { ... })
  local output = child.stdout:receive "a"
  local how, code = child:wait()
  assert(code == 0, ("%s: %s %s"):format((...), how, code))
  return output
end

peers.run = run

local directory = {}
directory.__index = directory

function directory:write(name, text)
  local path = self.path .. "/" .. name
  local file <close> = assert(io.open(path, "w"))
  assert(file:write(text))
  return path
end

function directory:read(name)
  local file <close> = assert(io.open(self.path .. "/" .. name))
  return file:read "a"
end

function directory:close()
  run("rm", "-rf", self.path)
end

directory.__close = directory.close

--- A directory for a server's files, removed when it is closed.
---@return table directory its `path`; write(name, text) and read(name) a file in it
function peers.directory()
  local path = run("mktemp", "-d"):gsub("\n", "")
  return setmetatable({ path = path }, directory)
end

--- A key and a certificate that it signed itself, for localhost.
---@param dir table
---@return string key path
---@return string certificate path
function peers.certificate(dir)
  local key, certificate = dir.path .. "/key.pem", dir.path .. "/certificate.pem"
  local child <close> = assert(lariat.run { "openssl", "req", "-x509", "-newkey", "rsa:2048",
    "-nodes", "-days", 2, "-subj", "/CN=localhost", "-keyout", key, "-out", certificate,
    stdout = "null", stderr = "null" })
  assert(select(2, child:wait()) == 0, "openssl failed")
  return key, certificate
end

local server = {}
server.__index = server

function server:close()
  self.child:kill "KILL"
  self.child:wait()
  self.child:close()
end

server.__close = server.close

--- Starts a server program and waits until it accepts connections.
---@param command lariat.RunOptions
---@param port integer where it will listen, on the loopback address
---@return table server ended by `close`
function peers.start(command, port)
  command.stdout, command.stderr = "null", "null"
  local self = setmetatable({ child = assert(lariat.run(command)), port = port }, server)
  while true do
    local conn = socket.connect("127.0.0.1", port)
    if conn then
      conn:close()
      return self
    end
    local how, code = self.child:wait(0.005)
    if how then error(("%s ended: %s %s"):format(command[1], how, code)) end
  end
end

-- Counting ---------------------------------------------------------------------------------------

local ticker = {}
ticker.__index = ticker

--- Returns after `n` more beats.
function ticker:await(n)
  local last = self.beats + n
  while self.beats < last do self.condition:wait() end
end

function ticker:close()
  self.task:cancel()
  self.task:join()
end

ticker.__close = ticker.close

--- A task that beats for as long as nobody keeps the program from running.
---@return table ticker its `beats` so far; await(n) more of them
function peers.ticker()
  local self = setmetatable({ beats = 0, condition = core.condition() }, ticker)
  self.task = task.spawn(function()
    while true do
      task.sleep(0.002)
      self.beats = self.beats + 1
      self.condition:wake()
    end
  end)
  return self
end

local BEATS = 10 -- of the ticker, with the whole crowd inside

local crowd = {}
crowd.__index = crowd

--- Waits until the whole crowd is inside at once and the ticker has beaten on meanwhile. Who comes
--- later passes.
function crowd:enter()
  self.inside = self.inside + 1
  self.most = math.max(self.most, self.inside)
  if self.inside == self.count then
    self.ticker:await(BEATS)
    self.open = true
    self.condition:wake()
  end
  while not self.open do self.condition:wait() end
  self.inside = self.inside - 1
end

--- A place where `count` requests must meet before any is answered: if they come one after the
--- other, or the program stands still while they wait, they wait for ever.
---@param count integer
---@param a_ticker table
---@return table crowd `most`: how many were inside at once
function peers.crowd(count, a_ticker)
  return setmetatable({
    count = count, ticker = a_ticker, inside = 0, most = 0, open = false,
    condition = core.condition(),
  }, crowd)
end

--- Something in front of a real server: the first bytes that the server answers on a connection are
--- passed on once the crowd is complete.
---@param port integer of the server
---@param a_crowd table
---@return integer port
---@return table closer a `<close>` variable
function peers.held(port, a_crowd)
  return net.server(function(conn)
    local real <close> = assert(socket.connect("127.0.0.1", port))
    local up <close> = core.scoped(function() conn:pipe(real) end)
    local answer = real:receiveany()
    a_crowd:enter()
    if answer then conn:send(answer) end
    real:pipe(conn)
    up:join()
  end)
end

--- Runs f(1) ... f(count) as tasks; their results in order, or the first error.
---@param count integer
---@param f fun(i: integer): any
---@return any[]
function peers.together(count, f)
  local tasks, results = {}, {}
  for i = 1, count do tasks[i] = task.spawn(f, i) end
  for i = 1, count do results[i] = tasks[i]:join() end
  return results
end

return peers
