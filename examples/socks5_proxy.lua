-- SPDX-License-Identifier: MIT
--
-- A SOCKS 5 proxy (RFC 1928): connects clients to whatever they ask for, by name or by address.
--
--   lariat socks5_proxy.lua [HOST [PORT]]         (default 127.0.0.1 1080; port 0: any free port)
--
-- Try it with curl --socks5-hostname 127.0.0.1:1080 http://example.org/. Whoever can reach it can
-- use it: listen on other addresses than 127.0.0.1 behind a firewall only. The messages are
-- declared in wire/socks5.lua.

local socket = require "socket"
package.path = arg[0]:gsub("[^/]*$", "") .. "?.lua;" .. package.path -- modules beside this script
local socks = require "wire.socks5"

local CLIENTS = 2000
local PATIENCE = 10 -- seconds for a client to say what it wants
local CONNECT = 15  -- seconds for its connection to be made

local host, port = arg[1] or "127.0.0.1", math.tointeger(arg[2] or 1080)
if arg[3] or not port or port < 0 or port > 65535 then
  io.stderr:write "usage: lariat socks5_proxy.lua [HOST [PORT]]\n"
  os.exit(2)
end

local STATUS = { -- what is said of a connection that fails
  ["connection refused"] = "refused", timeout = "host_unreachable",
  ["Network is unreachable"] = "network_unreachable",
  ["No route to host"] = "host_unreachable",
  ["host or service not provided, or not known"] = "host_unreachable",
}

local function contains(list, value)
  for _, one in ipairs(list) do
    if one == value then return true end
  end
  return false
end

-- The status of a reply, and the connection that it is about.
local function reply(client, status, conn)
  local message = { status = status, kind = "ipv4", host = "0.0.0.0", port = 0 }
  if conn then
    local family
    message.host, message.port, family = conn:getsockname()
    message.kind = family == "inet6" and "ipv6" or "ipv4"
  end
  return socks.reply:write(client, message)
end

-- Without a password: whoever may connect to us may use us.
local function greet(client)
  local greeting = socks.greeting:read(client)
  if not greeting then return false end
  local fine = contains(greeting.methods, "none")
  socks.choice:write(client, { method = fine and "none" or "refused" })
  return fine
end

local function handle(client)
  client:settimeout(PATIENCE, "t")
  if not greet(client) then return end
  local request, message = socks.request:read(client)
  if not request then
    -- An address of a kind that nobody knows is an error of the message, not of the connection.
    if message:find("kind", 1, true) then reply(client, "no_such_kind") end
    return
  end
  if request.command ~= "connect" then return reply(client, "no_such_command") end
  local conn
  conn, message = socket.connect(request.host, request.port, { timeout = CONNECT })
  if not conn then return reply(client, STATUS[message] or "failure") end
  local _ <close> = conn
  reply(client, "ok", conn)
  client:settimeout(nil)
  -- What the client has sent behind its request is still there: messages take no more than theirs.
  socket.relay(client, conn)
end

local server, why = socket.bind(host, port, 128)
if not server then
  io.stderr:write("socks5_proxy: ", why, "\n")
  os.exit(1)
end
print(("listening on %s %d"):format(server:getsockname()))
io.flush()

assert(server:serve(handle, { limit = CLIENTS, name = "client" }))
