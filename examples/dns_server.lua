-- SPDX-License-Identifier: MIT
--
-- A small authoritative DNS server, over UDP and TCP, for A, AAAA and TXT records.
--
--   lariat dns_server.lua [HOST [PORT [ZONEFILE]]]  (default 127.0.0.1 5300; port 0: any free port)
--
-- A line of a zone file is "NAME TYPE DATA", a "#" starts a comment. Try it with
--   dig @127.0.0.1 -p 5300 example.test TXT     dig +tcp @127.0.0.1 -p 5300 example.test AAAA

local socket = require "socket"
local task = require "lariat.task"
package.path = arg[0]:gsub("[^/]*$", "") .. "?.lua;" .. package.path -- modules beside this script
local messages = require "wire.dns"
local zone = require "dns.zone"

local UDP_LIMIT, MOST = 512, 1232 -- bytes of an answer over UDP; to who says that it takes more
local TCP_TIMEOUT = 10 -- seconds a TCP client may be silent
local TCP_CLIENTS = 200
local TTL = 300

local host, port = arg[1] or "127.0.0.1", math.tointeger(arg[2] or 5300)
if not port or port < 0 or port > 65535 or arg[4] then
  io.stderr:write "usage: lariat dns_server.lua [HOST [PORT [ZONEFILE]]]\n"
  os.exit(2)
end

local function check(value, message)
  if value then return value end
  io.stderr:write("dns_server: ", message, "\n")
  os.exit(1)
end

local records = check(zone.load(arg[3])) -- name -> type -> list of data, as in wire/dns.lua

local function reply_to(query, rcode)
  return { id = query.id, qr = true, opcode = query.opcode, aa = true, rd = query.rd, rcode = rcode,
    questions = {}, answers = {}, authorities = {}, additionals = {} }
end

local function find(question)
  if question.class ~= "IN" then return "REFUSED", {} end -- the only class in use
  local node = records[question.name:lower()]
  if not node then return "NXDOMAIN", {} end
  local answers = {}
  for i, data in ipairs(node[question.type] or {}) do
    answers[i] = { name = question.name, type = question.type, class = "IN", ttl = TTL }
    for field, value in pairs(data) do answers[i][field] = value end
  end
  return "NOERROR", answers
end

-- The answer to a message, or nil: answers are never answered, or two servers could go on for ever.
local function answer(query)
  if query.qr then return nil end
  if query.opcode ~= "QUERY" then return reply_to(query, "NOTIMP") end
  local question = query.questions[1]
  if not question or query.questions[2] then return reply_to(query, "FORMERR") end
  local rcode, answers = find(question)
  local reply = reply_to(query, rcode)
  reply.questions[1] = question -- as it came: clients check the case of its letters
  reply.answers = answers
  return reply
end

-- Of what is no message as much as its first four bytes may be in order; it is answered with no
-- more than a header.
local function answer_garbage(packet)
  local head = #packet >= 12 and messages.dns:decode(packet:sub(1, 4) .. ("\0"):rep(8))
  return head and not head.qr and reply_to(head, "FORMERR") or nil
end

-- How large an answer may be: clients that speak EDNS say what they take.
local function limit_of(query)
  for _, record in ipairs(query.additionals) do
    if record.type == "OPT" then return math.max(UDP_LIMIT, math.min(record.udp_size, MOST)) end
  end
  return UDP_LIMIT
end

local function respond(packet)
  local query = messages.dns:decode(packet)
  local reply
  if query then reply = answer(query) else reply = answer_garbage(packet) end
  if not reply then return nil end
  local bytes = messages.dns:encode(reply)
  if query and #bytes > limit_of(query) then
    reply.answers, reply.tc = {}, true -- truncated: the client asks over TCP
    bytes = messages.dns:encode(reply)
  end
  return bytes
end

-- Over TCP each message has its length in front. One connection may ask many times.
local function serve_stream(conn)
  conn:settimeout(TCP_TIMEOUT, "t") -- for each call as a whole, however slowly bytes drip
  repeat
    local query = messages.dns_tcp:read(conn)
    local reply = query and answer(query.message)
  until not reply or not messages.dns_tcp:write(conn, { message = reply })
end

-- Both listen on the same port, so TCP picks it and UDP has to follow.
local server = check(socket.bind(host, port, 64))
port = select(2, server:getsockname())
local udp = socket.udp()
check(udp:setsockname(host, port))
print(("listening on %s %d"):format(udp:getsockname()))
io.flush()

task.spawn(server.serve, server, serve_stream, { limit = TCP_CLIENTS })
for packet, peer_host, peer_port in udp:datagrams() do
  local bytes = respond(packet)
  if bytes then udp:sendto(bytes, peer_host, peer_port) end
end
