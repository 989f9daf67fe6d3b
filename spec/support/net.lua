-- SPDX-License-Identifier: MIT
--
-- Peers for specs. Everything listens on port 0 of the loopback address.
--
--   local a, b = net.pair()                             -- then a:close(), b:close()
--   local port, server <close> = net.server(function(conn) ... end)

local socket = require "socket"
local task = require "lariat.task"

local net = {}

local LOOPBACK = { inet = "127.0.0.1", inet6 = "::1" }

--- Two connected sockets: the connecting end and the accepted one.
---@param family? "inet"|"inet6"
---@return table client
---@return table accepted
function net.pair(family)
  local host = LOOPBACK[family or "inet"]
  local listener <close> = assert(socket.bind(host, 0))
  local _, port = listener:getsockname()
  local client = assert(socket.connect(host, port))
  return client, assert(listener:accept())
end

--- Serves `handler(conn)` for each connection until the second result is closed or called, which
--- waits for the handlers to finish.
---@param handler fun(conn: table)
---@param options? table as for server:serve
---@return integer port
---@return table closer a `<close>` variable, and callable; closer.server is the listening socket
function net.server(handler, options)
  local server = assert(socket.bind("127.0.0.1", 0, 128))
  local _, port = server:getsockname()
  local serving = task.spawn(server.serve, server, handler, options)
  local function stop()
    server:close()
    serving:join()
  end
  local metatable = { __close = stop, __call = stop }
  return port, setmetatable({ server = server, task = serving }, metatable)
end

--- What the kernel holds for a TCP socket over IPv4. Asked without touching the socket, since that
--- would show what is held back.
---@return integer unread bytes received that nobody has read
---@return integer unsent bytes sent that the peer's kernel has not acknowledged
function net.kernel_queues(sock)
  local here = (":%04X"):format((select(2, sock:getsockname())))
  local there = (":%04X"):format((select(2, sock:getpeername())))
  for line in io.lines "/proc/net/tcp" do
    local near, far, unsent, unread =
      line:match "^%s*%d+: %x+(:%x+) %x+(:%x+) %x+ (%x+):(%x+)"
    if near == here and far == there then return tonumber(unread, 16), tonumber(unsent, 16) end
  end
  error "the kernel does not know this connection"
end

--- Sends until the peer, who does not read, holds it up. Returns how many bytes were taken.
function net.fill(sock)
  local chunk, total = ("x"):rep(64 * 1024), 0
  sock:settimeout(0)
  while true do
    local last, _, partial = sock:send(chunk)
    total = total + (last or partial)
    if not last then
      sock:settimeout(nil)
      return total
    end
  end
end

return net
