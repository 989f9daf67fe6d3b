-- SPDX-License-Identifier: MIT
--
-- Messages from streams. Bytes are taken from the connection once their message is complete, and
-- not before. So a read that ends early loses nothing, and a receive in between gets all bytes.
--
-- Bytes that were peeked at are cached with the connection. `seen` is how many bytes had been taken
-- from the stream then; if another reader has taken some since, skip(n, seen) takes nothing and the
-- cache is dropped. An incomplete message is decoded again from its beginning RETRIES times, which
-- is fastest for short ones; then decoding goes on in a coroutine of the resumable decoder, so that
-- each byte is decoded once. That coroutine never waits: read() itself does.
--
-- A reader:  s[p..e]  looked at, not decoded       have   bytes looked at and not taken
--            co       a decode under way           need   bytes that are lacking, if known
--            epoch    counts how often the cache was dropped

local Message = require "lariat.internal.wire.node".Message
local ahead = require "lariat.internal.wire.ahead"
local compiled = require "lariat.internal.wire.compiled"
local usage = require "lariat.internal.usage"
local registry = require "lariat.internal.wire.registry"
local sub = string.sub
local create, resume, status = coroutine.create, coroutine.resume, coroutine.status

local CHUNK, RETRIES = 65536, 2

local readers = setmetatable({}, { __mode = "k" })

local function forget(R)
  R.s, R.co, R.need = nil, nil, nil
  R.have, R.tries = 0, 0
  R.epoch = R.epoch + 1
end

local function new_reader(conn)
  local R = { have = 0, tries = 0, epoch = 0 }
  R.peek, R.skip = ahead.of(conn)
  readers[conn] = R
  return R
end

local function check_stream(conn, name)
  local kind = type(conn)
  if kind ~= "userdata" and kind ~= "table" or
      not (conn.skip or conn.receive or conn.receivefrom) then
    usage.type(1, name, "stream", conn, conn == nil)
  end
end

-- The reader of a connection for a message. Compiles the message, which raises an error if it
-- cannot be read from a stream.
local function reader_of(message, conn, name)
  local R = readers[conn]
  if not R then
    check_stream(conn, name)
    R = new_reader(conn)
  end
  if R.message ~= message then
    compiled(message, "resumable")
    compiled(message, "plain")
    local decoding = R.co ~= nil
    R.message, R.co, R.tries, R.need = message, nil, 0, nil
    if decoding or R.have ~= (R.s and R.e - R.p + 1 or 0) then forget(R) end
  end
  return R
end

-- Decoding ---------------------------------------------------------------------------------------

-- Takes the n bytes of a whole message; false if somebody else has taken some of them.
local function take(conn, R, n)
  if not R.skip(conn, n, R.seen) then
    forget(R)
    return false
  end
  R.seen, R.have, R.tries = R.seen + n, R.have - n, 0
  return true
end

-- The error of a message, with positions as if the message had come in one piece.
local function failed(message, conn, R, err)
  local whole = R.peek(conn, R.have, R.have, 0)
  local _, again = nil, nil
  if whole then _, again = message.plain(whole, 1, #whole, 1, 0) end
  forget(R)
  return tostring(type(again) == "table" and again or err)
end

-- The coroutine has the last bytes and yields how many it lacks, or is done.
-- -> value | nil, message | nothing: it goes on
local function continue(message, conn, R, ...)
  local ok, value, s, p, e = resume(R.co, ...)
  if not ok then error(value, 0) end
  if status(R.co) ~= "dead" then
    R.need = value
    return
  end
  R.co, R.need = nil, nil
  if not value then return nil, failed(message, conn, R, s) end
  local n = R.have - (e - p + 1)
  if n > message.limit then return nil, registry.too_long(message) end
  if take(conn, R, n) then
    R.s, R.p, R.e = s, p, e
    return value
  end
end

-- Waits for the bytes that are lacking. -> true | nil, message
local function wait(conn, R)
  local epoch, from, need = R.epoch, R.have, R.need or 1
  local x, seen = R.peek(conn, need, need > CHUNK and need or CHUNK, from)
  if not x then return nil, seen end
  if R.epoch ~= epoch or R.have ~= from or from > 0 and seen ~= R.seen then
    if R.epoch == epoch then forget(R) end -- another task has read in the meantime
    return true
  end
  R.seen, R.have = seen, from + #x
  return true, x
end

-- The next attempt to decode a message from its beginning.
local function attempt(message, conn, R)
  local value, next = message.plain(R.s, R.p, R.e, R.p, 0)
  if value then
    local n = next - R.p
    if n > message.limit then return nil, registry.too_long(message) end
    if take(conn, R, n) then
      R.p = next
      return value
    end
  elseif not R.skip(conn, 0, R.seen) then
    forget(R)
  elseif type(next) ~= "number" then
    forget(R)
    return nil, tostring(next)
  elseif R.tries < RETRIES then
    R.tries, R.need = R.tries + 1, next - R.e
  else
    R.co = create(message.resumable)
    local s, size = sub(R.s, R.p, R.e), R.e - R.p + 1
    R.s = nil
    return continue(message, conn, R, s, 1, size, 0, 0)
  end
end

-- -> value | nil, message, bytes that have come of it
local function step(message, conn, R)
  if R.need and not R.skip(conn, 0, R.seen) then forget(R) end -- before waiting for what is taken
  while true do
    local value, err, x
    if R.need or not R.s or R.p > R.e then
      if R.have > message.limit + CHUNK then return nil, registry.too_long(message), R.have end
      if not R.need then
        R.s = nil
        if R.have > 0 then forget(R) end
      end
      local ok
      ok, x = wait(conn, R)
      if not ok then return nil, x, R.have end
      if x and R.co then
        value, err = continue(message, conn, R, x)
      elseif x then
        R.s = R.s and sub(R.s, R.p, R.e) .. x or x
        R.p, R.e, R.need = 1, #R.s, nil
      end
    end
    if value == nil and not err and R.s and not R.need then
      value, err = attempt(message, conn, R)
    end
    if value ~= nil or err then return value, err, 0 end
  end
end

local function ended(message, size)
  return ("%s: the stream ended inside a message, after %d bytes of it"):format(message.name, size)
end

-- Methods ----------------------------------------------------------------------------------------

local function is_datagram(conn)
  return conn.skip == nil and conn.setpeername ~= nil
end

local function decode_datagram(message, data)
  local value, next = message:decode(data)
  if value and next <= #data then
    return nil, ("%s: %d bytes behind its end"):format(message.name, #data - next + 1)
  end
  return value, next
end

-- A connected socket has the method receivefrom, too, but refuses it.
local function is_connected(conn)
  return usage.kind(conn):find("{connected}", 1, true) ~= nil
end

local function read_datagram(message, conn)
  local receive = not is_connected(conn) and conn.receivefrom or conn.receive
  local data, host, port = receive(conn)
  if not data then return nil, host end
  local value, err = decode_datagram(message, data)
  if not value then return nil, err, data, host, port end
  return value, host, port
end

--- The next message of a stream, under its timeout; or the next datagram, with where it is from.
---@param conn any
---@return table? value
---@return string? message "closed" at the end of a stream; "timeout" loses nothing
function Message:read(conn)
  local R = readers[conn]
  if not R or R.message ~= self then
    usage.check_self(self, Message, "read")
    check_stream(conn, "read")
    if is_datagram(conn) then return read_datagram(self, conn) end
    R = reader_of(self, conn, "read")
  end
  local value, err, size = step(self, conn, R)
  if value then return value end
  if err == "closed" and size > 0 then return nil, ended(self, size) end
  return nil, err
end

--- An iterator over the messages of a stream. Ends at its end and raises any other failure.
---@param conn any
---@return fun(): table?
function Message:messages(conn)
  usage.check_self(self, Message, "messages")
  check_stream(conn, "messages")
  local R, plain, limit = reader_of(self, conn, "messages"), compiled(self, "plain"), self.limit
  local skip = R.skip
  local s, p, e, seen, since, epoch -- those of the reader, unless another task has used it
  local function next_message()
    local reader = reader_of(self, conn, "messages")
    local value, err, size = step(self, conn, reader)
    if value then
      s, p, e, seen, since, epoch = R.s, R.p, R.e, R.seen, R.seen, R.epoch
      return value
    end
    if err == "closed" and size == 0 then return nil end
    error(err == "closed" and ended(self, size) or err, 0)
  end
  return function()
    if s then -- the usual case: the next message is there, complete
      local value, next = plain(s, p, e, p, 0)
      if value then
        local n = next - p
        if n <= limit and skip(conn, n, seen) then
          p, seen = next, seen + n
          return value
        end
      end
      s = nil
      if R.epoch == epoch and R.seen == since then -- no other task has read meanwhile
        R.p, R.seen, R.have, R.tries = p, seen, e - p + 1, 0
      end
    end
    return next_message()
  end
end

--- Sends a message: to a stream as conn:send does, or as a datagram.
---@param conn any
---@param value table
---@param host? string of a datagram that is sent to somebody
---@param port? integer
function Message:write(conn, value, host, port)
  usage.check_self(self, Message, "write")
  if type(conn) ~= "userdata" and type(conn) ~= "table" then
    usage.type(1, "write", "stream or datagram socket", conn, conn == nil)
  end
  local bytes = self:encode(value)
  if host ~= nil then return conn:sendto(bytes, host, port) end
  return conn:send(bytes)
end

--- An iterator over datagrams: message, host, port. For a datagram that cannot be decoded it calls
--- refused(why, datagram, host, port); without that function it raises an error.
---@param conn any
---@param refused? fun(message: string, data: string, host: string, port: integer)
---@return fun(): table?, string?, integer?
function Message:datagrams(conn, refused)
  usage.check_self(self, Message, "datagrams")
  if type(conn) ~= "userdata" or not is_datagram(conn) then
    usage.type(1, "datagrams", "datagram socket", conn, conn == nil)
  end
  local next_datagram = conn:datagrams()
  return function()
    while true do
      local data, host, port = next_datagram()
      if not data then return nil end
      local value, err = decode_datagram(self, data)
      if value then return value, host, port end
      if not refused then usage.error("%s (datagrams takes a function to be told this)", err) end
      refused(err, data, host, port)
    end
  end
end

--- Without a connection: a function that takes bytes as they come and returns the messages that
--- they complete; or nil and why the next one cannot be decoded, and those before it.
---@return fun(bytes: string): table[]?, string?, table[]?
function Message:decoder()
  usage.check_self(self, Message, "decoder")
  local plain, resumable = compiled(self, "plain"), compiled(self, "resumable")
  local co, s, p, err = nil, "", 1, nil
  local function continue_with(messages, ...)
    local ok, value, rest, at = resume(co, ...)
    if not ok then error(value, 0) end
    if status(co) ~= "dead" then return false end
    co = nil
    if not value then
      err = tostring(rest)
      return false
    end
    messages[#messages + 1] = value
    s, p = rest, at
    return true
  end
  return function(bytes)
    local messages = {}
    if err then return nil, err, messages end
    if co and not continue_with(messages, bytes) then
      if err then return nil, err, messages end
      return messages
    elseif #messages == 0 then
      s, p = sub(s, p) .. bytes, 1
    end
    while p <= #s do
      local value, next = plain(s, p, #s, p, 0)
      if value then
        messages[#messages + 1] = value
        p = next
      elseif type(next) ~= "number" then
        err = tostring(next)
        return nil, err, messages
      else
        co = create(resumable)
        local rest = sub(s, p)
        s, p = "", 1
        if not continue_with(messages, rest, 1, #rest, 0, 0) then
          if err then return nil, err, messages end
          return messages
        end
      end
    end
    s, p = "", 1
    return messages
  end
end
