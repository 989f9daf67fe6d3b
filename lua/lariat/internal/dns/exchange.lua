-- SPDX-License-Identifier: MIT
--
-- One question and its answer: which server is asked, how often and how long it is waited for, when
-- TCP is taken. Each server is asked from a socket of its own, connected to it, so that its port is
-- random and nobody else is heard; the id is random, and so is the case of the letters. The sockets
-- are closed when the exchange ends, however it does.
--
-- A server that has been asked is listened to until the end: a late answer counts.

local core = require "lariat.core"
local answer = require "lariat.internal.dns.answer"
local messages = require "lariat.internal.dns.message"
local socket = require "socket.core"
local task = core.task

local exchange = {}

local UDP_SIZE = 1232 -- bytes of an answer: what passes everywhere without being cut to pieces
local SHORTEST = 0.2  -- seconds that a server has to answer, however little time there is

-- A server that does not know EDNS, or does not repeat a name as it was sent, is remembered.
local REMEMBERED = 3600 -- seconds

-- Letters in random case: what forges an answer has to know them as well (0x20).
local function shuffle(name)
  local bits = core.resolver.random()
  local i = 0
  return (name:gsub("%a", function(letter)
    i = i + 1
    if i > 60 then return nil end
    return bits >> i & 1 == 1 and letter:upper() or letter:lower()
  end))
end

-- Names in an answer point back into the question; as it was written, not as it was sent.
local function restore(text, sent, written)
  local at = 1
  while at do
    local suffix = sent:sub(at)
    if text:sub(-#suffix) == suffix then return text:sub(1, -#suffix - 1) .. written:sub(at) end
    at = sent:find(".", at, true)
    at = at and at + 1
  end
  return text
end

local NAMES = { "name", "target", "exchange", "mname", "rname" }

local function restore_all(m, sent, written)
  if sent == written then return m end
  for _, section in ipairs { m.answers, m.authorities } do
    for _, record in ipairs(section) do
      for _, field in ipairs(NAMES) do
        if record[field] then record[field] = restore(record[field], sent, written) end
      end
    end
  end
  return m
end

local function encode(question, edns)
  return {
    id = question.id, rd = true, opcode = "QUERY",
    questions = { { name = question.name, type = question.type, class = "IN" } },
    answers = {}, authorities = {},
    additionals = edns and {
      { name = "", type = "OPT", udp_size = UDP_SIZE, extended_rcode = 0, version = 0,
        options = {} },
    } or {},
  }
end

-- TCP --------------------------------------------------------------------------------------------

local function over_tcp(conn, server, question, edns, deadline)
  local function hurry() conn:settimeout(math.max(0, deadline - task.now()), "t") end
  hurry()
  local ok, message = conn:connect(server.host, server.port)
  if not ok then return nil, message end
  hurry()
  ok, message = messages.dns_tcp:write(conn, { message = encode(question, edns) })
  while ok do
    hurry()
    ok, message = messages.dns_tcp:read(conn)
    if ok and answer.is_to(ok.message, question) then return ok.message end
  end
  return nil, message
end

local function ask_by_tcp(server, question, edns, seconds)
  local conn, message = (server.six and socket.tcp6 or socket.tcp4)()
  if not conn then return nil, message end
  local _ <close> = conn
  return over_tcp(conn, server, question, edns, task.now() + seconds)
end

-- One server, over UDP ---------------------------------------------------------------------------

---@class lariat.dns.Try
---@field server table
---@field udp any
---@field edns boolean
---@field over? string why it is not asked any more

local try = {}
try.__index = try

function try:send()
  if not self.udp then
    local udp, message = (self.server.six and socket.udp6 or socket.udp4)()
    if not udp then return nil, message end
    self.udp = udp
    local ok
    ok, message = udp:setpeername(self.server.host, self.server.port)
    if not ok then return nil, message end
  end
  return self.udp:send(messages.dns:encode(encode(self.question, self.edns)))
end

function try:remember(what)
  self.cache:put(what .. self.server.text, true, task.now() + REMEMBERED)
end

-- With the bits that EDNS adds to it.
local function rcode_of(m)
  for _, record in ipairs(m.additionals) do
    if record.type == "OPT" and record.extended_rcode > 0 then
      return record.extended_rcode << 4
    end
  end
  return m.rcode
end

-- The meaning of an answer for this server:
-- the message, if it is one; nil: nothing has come of it yet.
function try:judge(m, seconds)
  local rcode = rcode_of(m)
  if self.edns and (rcode == "FORMERR" or rcode == "NOTIMP") then
    self.edns = false
    self:remember "no EDNS "
    return self:ask(seconds)
  elseif rcode ~= "NOERROR" and rcode ~= "NXDOMAIN" then
    self.over = ("the server answers %s"):format(tostring(rcode))
  else
    return m
  end
end

-- Takes what has come. -> message, or nil: go on
function try:take(seconds)
  self.udp:settimeout(0)
  while true do
    local data, message = self.udp:receive()
    if not data then
      if message ~= "timeout" then self.over = message end
      return nil
    end
    local m = messages.dns:decode(data)
    local good, exactly = false, false
    if m then good, exactly = answer.is_to(m, self.question) end
    if good and not exactly then self:remember "no case " end
    if good and (m.tc or not exactly) then
      return self:ask(seconds, true)
    elseif good then
      return self:judge(m, seconds)
    end
  end
end

-- Asks, over TCP also waits. -> message, or nil: wait for it
function try:ask(seconds, by_tcp)
  local m, message
  if by_tcp or self.tcp then
    m, message = ask_by_tcp(self.server, self.question, self.edns, seconds)
    if m then return self:judge(m, seconds) end
    self.over = message
  else
    m, message = self:send()
    if not m then self.over = message end
  end
end

-- All servers ------------------------------------------------------------------------------------

local function new_try(server, question, options)
  local cache = options.cache
  local name = question.name
  if cache:get("no case " .. server.text) == nil then name = shuffle(name) end
  return setmetatable({
    server = server, cache = cache, tcp = options.tcp,
    edns = cache:get("no EDNS " .. server.text) == nil,
    question = { id = core.resolver.random() & 0xffff, name = name, type = question.type },
  }, try)
end

-- Waits for whichever answers first. -> message, or nil: the time is up, or nobody is left
local function listen(tries, current, seconds)
  local deadline = task.now() + seconds
  while true do
    local sockets, of = {}, {}
    for _, t in ipairs(tries) do
      if t.udp and not t.over then
        sockets[#sockets + 1] = t.udp
        of[t.udp] = t
      end
    end
    local left = deadline - task.now()
    if current.over or not sockets[1] or left <= 0 then return nil end
    for _, udp in ipairs(core.wait(sockets, nil, left)) do
      local m = of[udp]:take(seconds)
      if m then return m end
    end
  end
end

local function close_all(tries)
  for _, t in ipairs(tries) do
    if t.udp then t.udp:close() end
  end
end

-- Why there is no answer: who has been silent matters more than who has refused.
local function failure(tries)
  local why = "timeout"
  for _, t in ipairs(tries) do
    if not t.over then return "timeout" end
    why = t.over
  end
  return why
end

--- Asks servers until one has answered.
---@param question table { name =, type = }
---@param options table { servers =, first =, attempts =, timeout =, tcp =, cache = }
---@return table? message
---@return string? message why not
function exchange.ask(question, options)
  local servers, tries = options.servers, {}
  local _ <close> = setmetatable({}, { __close = function() close_all(tries) end })
  local seconds = math.max(options.timeout, SHORTEST)
  for _ = 1, options.attempts do
    for i = 1, #servers do
      local t = tries[i]
      if not t then
        t = new_try(servers[(options.first + i - 2) % #servers + 1], question, options)
        tries[i] = t
      end
      if not t.over then
        local m = t:ask(seconds) or listen(tries, t, seconds)
        if m then return restore_all(m, m.questions[1].name, question.name) end
      end
    end
  end
  return nil, failure(tries)
end

return exchange
