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
local zone = require "dns.zone"

local UDP_LIMIT = 512  -- bytes of an answer over UDP; a longer one tells the client to ask over TCP
local TCP_TIMEOUT = 10 -- seconds a TCP client may be silent
local TCP_CLIENTS = 200
local NOERROR, FORMERR, NXDOMAIN, NOTIMP, REFUSED = 0, 1, 3, 4, 5
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

local records = check(zone.load(arg[3])) -- name -> type number -> list of data as sent

-- The name in a question: labels with their lengths in front, ended by an empty one. Returns it in
-- lower case with dots, and the position behind it; nil if it is malformed.
local function read_name(packet, at)
  local labels, length = {}, 0
  while true do
    local size = packet:byte(at)
    if not size or size > 63 or at + size > #packet then return nil end
    if size == 0 then return table.concat(labels, "."):lower(), at + 1 end
    length = length + size + 1
    if length > 254 then return nil end
    labels[#labels + 1] = packet:sub(at + 1, at + size)
    at = at + size + 1
  end
end

local function header(id, flags, rcode, questions, answers)
  return string.pack(">I2I2I2I2I2I2", id, flags | rcode, questions, answers, 0, 0)
end

local function find(name, kind, class)
  if class ~= 1 then return REFUSED, {} end -- 1: the Internet, the only class in use
  local node = records[name]
  if not node then return NXDOMAIN, {} end
  local answers = {}
  for _, data in ipairs(node[kind] or {}) do
    -- 0xC00C points back at the name in the question, which every packet has at byte 12.
    answers[#answers + 1] = string.pack(">I2I2I2I4s2", 0xC00C, kind, 1, TTL, data)
  end
  return NOERROR, answers
end

-- The answer to a packet, or nil if it deserves none: garbage is never answered with more than a
-- header, and answers are never answered (two servers could go on for ever).
local function respond(packet, limit)
  if #packet < 12 then return nil end
  local id, flags, questions = string.unpack(">I2I2I2", packet)
  if flags & 0x8000 ~= 0 then return nil end
  local reply = 0x8400 | flags & 0x7900 -- authoritative; opcode and "recursion desired" go back
  if flags & 0x7800 ~= 0 then return header(id, reply, NOTIMP, 0, 0) end
  local name, at = read_name(packet, 13)
  if questions ~= 1 or not name or at + 3 > #packet then
    return header(id, reply, FORMERR, 0, 0)
  end
  local kind, class = string.unpack(">I2I2", packet, at)
  local question = packet:sub(13, at + 3) -- as it came: clients check the case of its letters
  local rcode, answers = find(name, kind, class)
  local body = question .. table.concat(answers)
  if 12 + #body > limit then
    return header(id, reply | 0x0200, rcode, 1, 0) .. question -- truncated: ask over TCP
  end
  return header(id, reply, rcode, 1, #answers) .. body
end

-- Over TCP each packet has its length in front. One connection may ask many times.
local function serve_stream(conn)
  conn:settimeout(TCP_TIMEOUT, "t") -- for each call as a whole, however slowly bytes drip
  while true do
    local size = conn:receive(2)
    local packet = size and conn:receive((string.unpack(">I2", size)))
    local answer = packet and respond(packet, 65535)
    if not answer or not conn:send(string.pack(">s2", answer)) then return end
  end
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
  local answer = respond(packet, UDP_LIMIT)
  if answer then udp:sendto(answer, peer_host, peer_port) end
end
