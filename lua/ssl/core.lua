-- SPDX-License-Identifier: MIT
--
-- LuaSec (Debian's lua-sec, unmodified) in a lariat program: LuaSec does the TLS, the runtime does
-- the waiting. LuaSec's C code waits by poll, which would stop every task; so each connection gets
-- a timeout of 0 in LuaSec, and when a call returns "wantread" or "wantwrite" this module waits,
-- under the timeout that the script has set, and calls again. Results, errors and partial results
-- are LuaSec's own. LuaSec's `ssl` requires "ssl.core" and gets this module, which loads the real
-- one and replaces its methods; scripts need not change.
--
-- Invariant: LuaSec owns the descriptor. The runtime waits on a duplicate of it, so that closing
-- the connection wakes the tasks that wait, and no descriptor is watched after it was closed.

local core = require "socket.core"
local simulation = require "lariat.core".sim
local usage = require "lariat.internal.usage"
local task = require "lariat.core".task

local TURN = 64 -- attempts without a wait; then other tasks run

-- Connection -> { watched = { the copy }, block = seconds, total = seconds, reading = lock,
-- writing = lock }
local states = setmetatable({}, { __mode = "k" })

-- The locks are held during a call: bytes of two calls must not mix, and OpenSSL requires that a
-- write which it could not finish is repeated with the same bytes.
local lock = {}
lock.__index = lock

function lock:__close()
  self.busy = false
  self.condition:wake()
end

local function new_lock()
  return setmetatable({ busy = false, condition = task.condition() }, lock)
end

-- The results of LuaSec's own method. What it says of a wrong argument is said where the script is:
-- LuaSec counts the connection as the first.
local function results(name, ok, ...)
  if ok then return ... end
  local n, what = tostring((...)):match "bad argument #(%d+) to '.-' %((.*)%)$"
  if not n then error((...), 0) end
  usage.argument(math.max(n - 1, 1), name, "%s", what)
end

local function call(name, method, ...)
  return results(name, pcall(method, ...))
end

local attempts = 0

local function give_way()
  attempts = attempts + 1
  if attempts < TURN then return end
  attempts = 0
  local _, message = pcall(task.yield) -- where Lua cannot suspend, nobody else can have a turn
  if message == task.cancelled then error(message, 0) end
end

-- Seconds that the call begun at `start` may still wait; nil: as long as it takes.
local function patience(state, start)
  local block, total = state.block, state.total
  if block < 0 and total < 0 then return nil end
  local passed = task.now() - start
  if total < 0 then return math.max(block - passed, 0) end
  local left = math.max(total - passed, 0)
  return block < 0 and left or math.min(block, left)
end

-- Waits for what LuaSec wants; false if it wants nothing, or the time is up.
local function wait(conn, want, start)
  local state = states[conn]
  local reading = want == "wantread"
  if not state.watched or not reading and want ~= "wantwrite" then return false end
  local seconds = patience(state, start)
  if seconds == 0 then return false end
  attempts = 0
  local _, _, message = core.select(reading and state.watched or nil,
    not reading and state.watched or nil, seconds)
  return message == nil
end

local function wrap_handshake(handshake)
  return function(conn)
    local state, start = states[conn], task.now()
    while not (state and state.closed) do
      give_way()
      local ok, message = call("dohandshake", handshake, conn)
      if ok then return ok end
      if not wait(conn, message, start) then return ok, message end
    end
    return false, "closed" -- calling LuaSec with a closed connection would crash
  end
end

local function wrap_send(send)
  return function(conn, data, i, ...)
    local state, start = states[conn], task.now()
    if not state then return call("send", send, conn, data, i, ...) end
    while state.writing.busy do
      if not state.writing.condition:wait(patience(state, start), "send") then
        return nil, "wantwrite", (i or 1) - 1
      end
    end
    local writing <close> = state.writing
    writing.busy = true
    while true do
      give_way()
      local last, message, sent = call("send", send, conn, data, i, ...)
      if last or not wait(conn, message, start) then return last, message, sent end
      i = sent + 1
    end
  end
end

-- What came before a wait is kept in pieces, so that a long body is copied once.
local function wrap_receive(receive)
  return function(conn, pattern, prefix)
    local state, start, pieces, size = states[conn], task.now(), {}, 0
    if not state then return call("receive", receive, conn, pattern, prefix) end
    if state.reading.busy then return nil, "socket busy reading", "" end
    local reading <close> = state.reading
    reading.busy = true
    local before = prefix and #tostring(prefix) or 0
    while true do
      give_way()
      local data, message, partial = call("receive", receive, conn, pattern, prefix)
      if data and #pieces == 0 then return data, message, partial end
      pieces[#pieces + 1] = data or partial
      if data then return table.concat(pieces), nil, nil end
      size = size + #partial
      if not wait(conn, message, start) then
        local whole = table.concat(pieces)
        local all = type(pattern) == "string" and pattern:find "^%*?a"
        if all and message == "closed" and size > before then return whole, nil, nil end
        return nil, message, whole
      end
      prefix = nil
      if tonumber(pattern) then pattern = pattern - #partial end
    end
  end
end

local function wrap_settimeout(settimeout)
  return function(conn, seconds, mode)
    local result = call("settimeout", settimeout, conn, seconds, mode) -- which checks them
    local state = states[conn]
    state[(mode or "b"):sub(1, 1) == "b" and "block" or "total"] = tonumber(seconds) or -1
    settimeout(conn, -1, "t")
    settimeout(conn, 0)
    return result
  end
end

-- LuaSec sends close_notify by a blocking call. It is not sent to a peer that does not read.
local function wrap_close(close)
  return function(conn)
    local state = states[conn]
    local watched = state and state.watched
    if not watched or state.closed then return call("close", close, conn) end
    state.closed = true
    local _, writable = core.select(nil, watched, 0)
    if not writable[1] then watched[1]:shutdown() end
    close(conn)
    watched[1]:close()
  end
end

local function install(ssl)
  local create, setfd = ssl.create, ssl.setfd
  local metatable = debug.getregistry()["SSL:Connection"]
  local methods = metatable.__index
  local settimeout = methods.settimeout
  -- A simulation's host that loads LuaSec as well has given all connections methods anew.
  metatable.lariat = metatable.lariat or states
  states = metatable.lariat

  function ssl.create(...)
    local conn, message = create(...)
    if not conn then return nil, message end
    states[conn] = { block = -1, total = -1, reading = new_lock(), writing = new_lock() }
    settimeout(conn, 0)
    return conn
  end

  function ssl.setfd(conn, fd)
    if simulation.running() then -- at the line that calls ssl.wrap()
      error("LuaSec is not simulated: it reads and writes descriptors of the real world, and draws "
        .. "its random numbers there", 3)
    end
    local copy = fd >= 0 and assert(core.tcp_copy(fd))
    setfd(conn, fd)
    states[conn].watched = copy and { copy }
  end

  methods.dohandshake = wrap_handshake(methods.dohandshake)
  methods.send = wrap_send(methods.send)
  methods.receive = wrap_receive(methods.receive)
  methods.settimeout = wrap_settimeout(settimeout)
  local close = wrap_close(methods.close)
  methods.close, metatable.__gc, metatable.__close = close, close, close
end

-- The loader that `require` would have found, were it not for this module.
local function find(name)
  local messages = {}
  for i = 2, #package.searchers do
    local loader, data = package.searchers[i](name)
    if type(loader) == "function" then return loader, data end
    messages[#messages + 1] = loader
  end
  error(("module '%s' not found:\n\t%s"):format(name, table.concat(messages, "\n\t")), 0)
end

local loader, data = find(...)
local ssl = loader(..., data)
install(ssl)
return ssl
