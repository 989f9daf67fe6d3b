-- SPDX-License-Identifier: MIT
--
-- A name server whose answers, and mistakes, a spec decides. It runs on the real network and on a
-- simulated one.
--
--   local server <close> = nameserver.start { ["a.test A"] = { { address = "192.0.2.1" } } }
--   dns.resolve("a.test", "A", { servers = server.text }); server.questions   -- how many have come
--
-- An entry of the zone is a list of records, which may leave out name, type and ttl, or a function
-- (reply, question, context) -> bytes, nil (silence), or true (the reply, as it has been changed).

local messages = require "lariat.internal.dns.message"
local socket = require "socket"
local task = require "lariat.task"

local nameserver = {}

local SOA = { name = "test", type = "SOA", class = "IN", ttl = 300, mname = "ns.test",
  rname = "admin.test", serial = 1, refresh = 1, retry = 1, expire = 1, minimum = 60 }

local function add(list, records, question)
  for _, record in ipairs(records) do
    local one = { name = question.name, type = question.type, class = "IN", ttl = 300 }
    for key, value in pairs(record) do one[key] = value end
    list[#list + 1] = one
  end
end

local function known(zone, name)
  for key in pairs(zone) do
    if key:match "^%S+" == name then return true end
  end
end

local function reply_to(self, m, context)
  local q = m.questions[1]
  local name = q.name:lower()
  self.questions = self.questions + 1
  table.insert(self.log, name .. " " .. q.type .. (context.tcp and " tcp" or ""))
  local reply = { id = m.id, qr = true, opcode = m.opcode, rd = m.rd, ra = true, rcode = "NOERROR",
    questions = m.questions, answers = {}, authorities = {}, additionals = {} }
  local zone = self.zone
  local entry = zone[name .. " " .. q.type] or zone[name .. " *"]
  if type(entry) == "function" then
    local bytes = entry(reply, q, context)
    if bytes ~= true then return bytes end
  elseif entry then
    add(reply.answers, entry, q)
  else
    reply.rcode = known(zone, name) and "NOERROR" or "NXDOMAIN"
    reply.authorities = { SOA }
  end
  return messages.dns:encode(reply)
end

local function serve_datagrams(self)
  for data, host, port in self.udp:datagrams() do
    local m = messages.dns:decode(data)
    local context = { message = m, host = host, port = port, server = self, data = data }
    local bytes = m and reply_to(self, m, context)
    if bytes then self.udp:sendto(bytes, host, port) end
  end
end

local function serve_stream(self, conn)
  for m in messages.dns_tcp:messages(conn) do
    local bytes = reply_to(self, m.message, { message = m.message, server = self, tcp = true })
    if not bytes then return end
    conn:send(string.pack(">s2", bytes))
  end
end

local server = {}
server.__index = server

function server:close()
  self.listener:close()
  self.udp:close()
  for _, t in ipairs(self.tasks) do t:cancel() end
  for _, t in ipairs(self.tasks) do pcall(t.join, t) end
end

server.__close = server.close

--- Records added to an answer, for an entry that is a function.
nameserver.add = add
nameserver.SOA = SOA

--- Starts one.
---@param zone table
---@param host? string
---@param port? integer
---@return table server text, port, questions, log, zone
function nameserver.start(zone, host, port)
  host = host or "127.0.0.1"
  local self = setmetatable({ zone = zone, questions = 0, log = {} }, server)
  self.listener = assert(socket.bind(host, port or 0))
  self.port = select(2, self.listener:getsockname())
  self.udp = host:find ":" and assert(socket.udp6()) or assert(socket.udp4())
  assert(self.udp:setsockname(host, self.port))
  self.text = (host:find ":" and "[%s]:%d" or "%s:%d"):format(host, self.port)
  self.tasks = {
    task.spawn(serve_datagrams, self),
    task.spawn(function() self.listener:serve(function(conn) serve_stream(self, conn) end) end),
  }
  return self
end

return nameserver
