-- SPDX-License-Identifier: MIT
--
-- netcat: standard input to the network, the network to standard output, both at once.
--
--   lariat netcat.lua [-u] [-w SECONDS] HOST PORT          connects
--   lariat netcat.lua -l [-u] [-w SECONDS] [HOST] PORT     waits for one peer (port 0: any free)
--
-- The end of standard input is passed on, and the other side may go on sending (half-close); when
-- both sides have ended, so does netcat. UDP has no end: there -w gives up after SECONDS without a
-- datagram. In TCP it limits the wait for a connection.

local socket = require "socket"
local lariat = require "lariat"
local task = require "lariat.task"

local PIECE = 1400 -- bytes of standard input in one datagram, at most

local function usage()
  io.stderr:write("usage: lariat netcat.lua [-u] [-w SECONDS] HOST PORT\n",
    "       lariat netcat.lua -l [-u] [-w SECONDS] [HOST] PORT\n")
  os.exit(2)
end

local function check(value, ...)
  if value then return value, ... end
  io.stderr:write("netcat: ", (...), "\n")
  os.exit(1)
end

-- The listening line goes to standard error: standard output is the peer's.
local function announce(sock)
  io.stderr:write(("listening on %s %d\n"):format(sock:getsockname()))
end

-- Options: letters, possibly several behind one "-".
local options, words = {}, {}
local i = 1
while arg[i] do
  local letters = arg[i]:match "^%-(%a+)$"
  if not letters then words[#words + 1] = arg[i] end
  for letter in (letters or ""):gmatch "." do
    if not letter:find "[luw]" then usage() end
    options[letter] = true
    if letter == "w" then
      i = i + 1
      options.w = tonumber(arg[i] or usage()) or usage()
    end
  end
  i = i + 1
end
if options.l and #words == 1 then table.insert(words, 1, "0.0.0.0") end
local host, port = words[1], math.tointeger(words[2])
if #words ~= 2 or not port or port < (options.l and 0 or 1) or port > 65535 then usage() end

-- One task copies each way. pipe moves bytes until the end of the first, and passes that end on to
-- the second. Reading lariat.stdin suspends a task; io.read would stop the whole program.
local function talk_tcp(conn)
  local up = task.spawn(function() return lariat.stdin:pipe(conn) end)
  local received, message = conn:pipe(lariat.stdout)
  if not received then up:cancel() end -- reset, say: nobody is left to send to
  check(received, message)
  check(up:join())
end

local function tcp()
  if options.l then
    local server <close> = check(socket.bind(host, port, 1))
    announce(server)
    server:settimeout(options.w)
    return check(server:accept())
  end
  local conn = socket.tcp()
  conn:settimeout(options.w)
  check(conn:connect(host, port))
  conn:settimeout(nil)
  return conn
end

local function talk_udp(udp)
  -- What standard input gives at once, a line on a terminal, is one datagram.
  local up = task.spawn(function()
    for data in function() return (lariat.stdin:receiveany(PIECE)) end do
      udp:send(data) -- may fail while nobody listens there yet; the receiver below hears of it
    end
  end)
  udp:settimeout(options.w)
  while true do
    local data, message = udp:receive()
    if message == "timeout" then break end
    check(lariat.stdout:send(check(data, message)))
  end
  up:cancel()
end

local function udp()
  local sock = socket.udp()
  if not options.l then
    check(sock:setpeername(host, port))
    return sock
  end
  check(sock:setsockname(host, port))
  announce(sock)
  sock:settimeout(options.w)
  -- Whoever sends first is the peer from now on. Its datagram is output like those to come.
  local data, peer_host, peer_port = check(sock:receivefrom())
  check(sock:setpeername(peer_host, peer_port))
  check(lariat.stdout:send(data))
  return sock
end

if options.u then
  local sock <close> = udp()
  talk_udp(sock)
else
  local conn <close> = tcp()
  talk_tcp(conn)
end
