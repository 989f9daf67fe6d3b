-- SPDX-License-Identifier: MIT
--
-- A TCP echo server: whatever a client sends comes back, byte for byte, as it comes.
--
--   lariat tcp_echo_server.lua [HOST [PORT]]      (default 127.0.0.1 7000; port 0: any free port)
--
-- Every connection gets a task of its own, so the handler below reads like a program for one
-- client: a call that has to wait (receiveany, send) suspends this client's task and nobody else's.

local socket = require "socket"

local IDLE = 300 -- seconds without a byte after which a client is taken to have vanished

local host, port = arg[1] or "127.0.0.1", math.tointeger(arg[2] or 7000)
if arg[3] or not port or port < 0 or port > 65535 then
  io.stderr:write "usage: lariat tcp_echo_server.lua [HOST [PORT]]\n"
  os.exit(2)
end

local function echo(conn)
  conn:settimeout(IDLE)
  local message
  repeat
    local data
    data, message = conn:receiveany() -- one byte or more: what has come, or what comes next
    if data then
      -- A client that does not read makes this wait, so that no more is read from it either: the
      -- server keeps no more than 64 KiB for it.
      local _
      _, message = conn:send(data)
    end
  until message -- "closed" at the end of its stream; "timeout", ...
  -- serve closes the connection when the handler returns. (All of this is also conn:pipe(conn).)
end

local server, message = socket.bind(host, port, 128)
if not server then
  io.stderr:write("tcp_echo_server: ", message, "\n")
  os.exit(1)
end
print(("listening on %s %d"):format(server:getsockname()))
io.flush() -- at once, even into a pipe: somebody may be waiting for this line

-- At most 5,000 clients at a time; the next ones wait in the kernel's queue until one leaves.
assert(server:serve(echo, { limit = 5000 }))
