-- SPDX-License-Identifier: MIT
--
-- A chat without a server: everybody who has joined the multicast group gets every datagram.
--
--   lariat multicast_chat.lua NICK [GROUP [PORT [INTERFACE]]]
--
-- GROUP is an IPv4 multicast address (default 239.76.97.114), PORT defaults to 7001 (0: any free
-- port, for whoever tells it to the others), INTERFACE is the address of the interface to use
-- (default "*": the kernel picks; 127.0.0.1 stays on this machine). Lines of standard input are
-- said; the end of input leaves. A datagram is "NICK: text".

local socket = require "socket"
local lariat = require "lariat"
local task = require "lariat.task"

local LONGEST = 1000 -- bytes said at once: a datagram that every network takes in one piece

local nick, group = arg[1], arg[2] or "239.76.97.114"
local port, interface = math.tointeger(arg[3] or 7001), arg[4] or "*"
local first = math.tointeger(group:match "^(%d+)%.%d+%.%d+%.%d+$")
if not nick or not nick:find "^[%w_-]+$" or not first or first < 224 or first > 239
   or not port or port < 0 or port > 65535 or arg[5] then
  io.stderr:write "usage: lariat multicast_chat.lua NICK [GROUP [PORT [INTERFACE]]]\n"
  os.exit(2)
end

local function check(value, message)
  if value then return value end
  io.stderr:write("multicast_chat: ", message, "\n")
  os.exit(1)
end

-- On somebody else's terminal a text is a guest: no control characters, no escape sequences.
local function printable(text)
  return (text:gsub("[%c\x7f]", "?"))
end

-- Bound to the group's address, the socket hears the group only, not other traffic to the port.
-- "reuseaddr" lets several chats on this machine share the port: each gets its copy.
local udp <close> = socket.udp4()
check(udp:setoption("reuseaddr", true))
check(udp:setsockname(group, port))
check(udp:setoption("ip-add-membership", { multiaddr = group, interface = interface }))
check(udp:setoption("ip-multicast-if", interface))
check(udp:setoption("ip-multicast-ttl", 1)) -- this network, no farther
check(udp:setoption("ip-multicast-loop", true)) -- the others on this machine shall hear us, too
port = select(2, udp:getsockname())
print(("listening on %s %d"):format(group, port))
io.flush()

-- What we say comes back to us as well, and is printed when it does: what everybody sees.
local function listen()
  for data in udp:datagrams() do
    print(printable(data))
    io.flush()
  end
end

local function say(text)
  local ok, message = udp:sendto(("%s: %s"):format(nick, text), group, port)
  if not ok then io.stderr:write("multicast_chat: not sent: ", message, "\n") end
end

local listener = task.spawn(listen) -- hears while we wait for the keyboard
lariat.stdin:setoption("maxreceive", LONGEST)
say "(joins)"
while true do
  local line, message, partial = lariat.stdin:receive()
  if message == "closed" and partial ~= "" then line = partial end -- a last line without an end
  if line and line ~= "" then say(line) end
  if message == "too long" then
    say(partial) -- the rest comes as the next line
  elseif message then
    break
  end
end
say "(leaves)"
listener:cancel() -- else the program would go on listening
