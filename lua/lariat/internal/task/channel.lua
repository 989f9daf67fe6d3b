-- SPDX-License-Identifier: MIT
--
-- Communication between tasks: channels, and semaphores and events, which wait the same way.
--
-- Invariant: a value sent has been received once, or is still in the channel. A waiting task has a
-- record in a queue; the task that gives it a value, or takes its value, marks the record done. A
-- receiver that is cancelled after that puts the value back at the front. Senders and receivers are
-- served in the order in which they came.
--
-- No call takes longer because many tasks wait: records are doubly linked, so that one leaves the
-- queue from anywhere in constant time.

local core = require "lariat.core"
local usage = require "lariat.internal.usage"
local getmetatable = getmetatable
local task, check_self = core.task, usage.check_self

local function check_seconds(seconds, name, n)
  usage.check_amount(n, name, "seconds", seconds)
end

-- Queues of values: first in, first out ----------------------------------------------------------

local queue = {}
queue.__index = queue

local function new_queue()
  return setmetatable({ first = 1, last = 0 }, queue)
end

function queue:push(item)
  self.last = self.last + 1
  self[self.last] = item
end

function queue:push_front(item)
  self.first = self.first - 1
  self[self.first] = item
end

function queue:pop()
  if self.first > self.last then return nil end
  local item = self[self.first]
  self[self.first] = nil
  self.first = self.first + 1
  return item
end

function queue:size()
  return self.last - self.first + 1
end

-- Queues of waiters: a record can leave from the middle -----------------------------------------

local function new_line()
  return { size = 0 } -- `first` and `last` are its records at the ends
end

local function join(line, record)
  local last = line.last
  record.line, record.waits, record.before = line, true, last
  if last then last.after = record else line.first = record end
  line.last = record
  line.size = line.size + 1
end

local function leave(line, record)
  local before, after = record.before, record.after
  if before then before.after = after else line.first = after end
  if after then after.before = before else line.last = before end
  record.waits, record.before, record.after = false, nil, nil
  line.size = line.size - 1
end

-- Channels ---------------------------------------------------------------------------------------

---@class lariat.Channel
local channel = {}
channel.__index = channel
channel.__name = "channel"

-- Wakes the first task in the queue that still waits, skipping those cancelled meanwhile; its
-- record.
local function serve(line)
  local record = line.first
  while record do
    leave(line, record)
    if record.condition:wake(1) > 0 then
      record.done = true
      return record
    end
    record = line.first
  end
end

-- Puts back a value that was given to a receiver which was cancelled.
local function unreceive(self, value)
  local receiver = serve(self.receivers)
  if receiver then
    receiver.value = value
  else
    self.buffer:push_front(value)
    self.watchers:wake()
  end
end

-- A wait's record is a `<close>` variable: it leaves its queue, or gives back the value that was
-- given to a coroutine which has been closed.
local place = {}
place.__close = function(record)
  if record.waits then
    leave(record.line, record)
  elseif record.done and not record.returned and record.give_back then
    record.give_back(record.channel, record.value)
  end
end

-- A record to wait with. To make it may run a finalizer, which may send, receive or close: whoever
-- makes one looks once more before it waits. From then on nothing is made until the task is parked.
local function new_record(self, value, give_back)
  return setmetatable({ condition = task.condition(), channel = self, value = value,
    give_back = give_back, line = false, waits = false }, place)
end

-- Parks until the record is done, the time has passed or the channel is closed.
local function wait_in(self, line, record, seconds, what)
  local _ <close> = record
  join(line, record)
  self.watchers:wake()
  local ok, woken = pcall(record.condition.wait, record.condition, seconds, what)
  record.returned = true
  return ok, woken
end

-- Puts a value in if there is a receiver or room: true.
local function put_now(self, value)
  local receiver = serve(self.receivers)
  if receiver then
    receiver.value = value
    return true
  end
  if self.buffer:size() < self.capacity then
    self.buffer:push(value)
    self.watchers:wake()
    return true
  end
end

-- Puts a value in; `what` is waited for, and give_back undoes it for a coroutine that has ended.
local function put(self, value, seconds, what, give_back)
  if put_now(self, value) then return true end
  if seconds == 0 then return nil, "timeout" end
  local record = new_record(self, value, give_back)
  if self.closed then return nil, "closed" end
  if put_now(self, value) then return true end
  local ok, err = wait_in(self, self.senders, record, seconds, what)
  if record.done then return true end -- the value was taken, even if the wait was cancelled
  if not ok then error(err, 0) end
  return nil, self.closed and "closed" or "timeout"
end

--- Puts a value in; waits while the channel is full.
---@param value any not nil
---@param seconds? number how long to wait
---@return true? # nil, "timeout" or nil, "closed"
---@return string? message
function channel:send(value, seconds)
  if getmetatable(self) ~= channel then check_self(self, channel, "send") end
  if value == nil then usage.argument(1, "send", "nil cannot be sent") end
  if seconds ~= nil then check_seconds(seconds, "send", 2) end
  if self.closed then return nil, "closed" end
  return put(self, value, seconds, "channel send")
end

-- The next value, if there is one: from the buffer, which a waiting sender then refills.
local function take(self)
  local sender = serve(self.senders)
  if sender then self.buffer:push(sender.value) end
  return self.buffer:pop()
end

--- Takes the next value out; waits while there is none.
---@param seconds? number how long to wait
---@return any value nil, "timeout" or nil, "closed" (once it is closed and empty)
---@return string? message
function channel:receive(seconds)
  if getmetatable(self) ~= channel then check_self(self, channel, "receive") end
  if seconds ~= nil then check_seconds(seconds, "receive", 1) end
  local value = take(self)
  if value ~= nil then return value end
  if self.closed then return nil, "closed" end
  if seconds == 0 then return nil, "timeout" end
  local record = new_record(self, nil, unreceive)
  value = take(self)
  if value ~= nil then return value end
  if self.closed then return nil, "closed" end
  local ok, err = wait_in(self, self.receivers, record, seconds, "channel receive")
  if not ok then
    if record.done then unreceive(self, record.value) end
    error(err, 0)
  end
  if record.done then return record.value end
  return nil, self.closed and "closed" or "timeout"
end

--- No more values: waiting senders and receivers get nil, "closed"; what is inside can be received.
---@return boolean # false if it was closed before
function channel:close()
  check_self(self, channel, "close")
  if self.closed then return false end
  self.closed = true
  for _, line in ipairs { self.senders, self.receivers } do
    local record = line.first
    while record do
      record.condition:wake()
      record = record.after
    end
  end
  self.watchers:wake()
  return true
end

--- Values waiting inside.
---@return integer
function channel:size()
  check_self(self, channel, "size")
  return self.buffer:size()
end

--- For task.wait and socket.select: would receive return at once?
---@return boolean
function channel:ready()
  check_self(self, channel, "ready")
  return self.buffer:size() > 0 or self.senders.size > 0 or self.closed
end

channel.__call = function(self)
  local value = self:receive()
  return value
end

channel.__close = channel.close

local api = {}

--- A channel that holds `capacity` values; with 0 a send waits for its receiver.
---@param capacity? number default 0; math.huge: any number
---@return lariat.Channel
function api.channel(capacity)
  capacity = capacity or 0
  usage.check_amount(1, "channel", "capacity", capacity)
  return setmetatable({
    capacity = capacity, closed = false, buffer = new_queue(),
    senders = new_line(), receivers = new_line(), watchers = task.condition(),
  }, channel)
end

-- Semaphores -------------------------------------------------------------------------------------

---@class lariat.Semaphore
local semaphore = {}
semaphore.__index = semaphore
semaphore.__name = "semaphore"

-- A semaphore is a channel whose capacity is the number of permits. A permit taken is a value in
-- it; this takes the value out.
local function give_permit_back(taken)
  take(taken)
  taken.watchers:wake()
end

--- Takes one of the permits; waits, in order, while there is none.
---@param seconds? number
---@return true? # nil, "timeout"
---@return string? message
function semaphore:acquire(seconds)
  check_self(self, semaphore, "acquire")
  if seconds ~= nil then check_seconds(seconds, "acquire", 1) end
  return put(self.taken, true, seconds, "semaphore", give_permit_back)
end

--- Gives a permit back.
function semaphore:release()
  check_self(self, semaphore, "release")
  if self.taken:size() == 0 then usage.error("semaphore released more often than acquired") end
  give_permit_back(self.taken)
end

--- Runs f(...) with a permit, which is given back whatever happens.
---@param f function
---@return any ...
function semaphore:with(f, ...)
  check_self(self, semaphore, "with")
  if not usage.callable(f) then usage.type(1, "with", "function", f) end
  self:acquire()
  local _ <close> = setmetatable({}, { __close = function() self:release() end })
  return f(...)
end

function semaphore:ready()
  check_self(self, semaphore, "ready")
  return self.taken:size() < self.taken.capacity
end

--- A semaphore with n permits.
---@param n integer
---@return lariat.Semaphore
function api.semaphore(n)
  if type(n) ~= "number" then usage.type(1, "semaphore", "number of permits", n) end
  if math.type(n) ~= "integer" or n < 1 then
    usage.argument(1, "semaphore", "number of permits expected: a positive integer, got %s", n)
  end
  local taken = api.channel(n)
  return setmetatable({ taken = taken, watchers = taken.watchers }, semaphore)
end

-- Events -----------------------------------------------------------------------------------------

---@class lariat.Event
local event = {}
event.__index = event
event.__name = "event"

--- Sets the event: waiting tasks go on, and later ones do not wait.
function event:set()
  check_self(self, event, "set")
  self.on = true
  self.watchers:wake()
end

--- Clears the event: tasks wait from now on.
function event:clear()
  check_self(self, event, "clear")
  self.on = false
end

---@return boolean
function event:ready()
  check_self(self, event, "ready")
  return self.on
end

--- Waits until the event is set.
---@param seconds? number
---@return true? # nil, "timeout"
---@return string? message
function event:wait(seconds)
  check_self(self, event, "wait")
  if seconds ~= nil then check_seconds(seconds, "wait", 1) end
  if self.on then return true end
  if seconds == 0 then return nil, "timeout" end
  return self.watchers:wait(seconds, "event")
end

--- A switch that tasks can wait for.
---@return lariat.Event
function api.event()
  return setmetatable({ on = false, watchers = task.condition() }, event)
end

return api
