-- SPDX-License-Identifier: MIT
--
-- A server of strings and lists that speaks RESP, the protocol of Redis.
--
--   lariat resp_server.lua [HOST [PORT]]          (default 127.0.0.1 6381; port 0: any free port)
--
-- Try it with redis-cli -p 6381, or redis-benchmark -p 6381 -t ping,set,get,incr,lpush,lpop -P 16.
-- The messages are declared in wire/resp.lua, the commands are in resp/commands.lua.
-- redis_server.lua knows more of them, reads by hand what is declared here, and is faster for it.

local socket = require "socket"
package.path = arg[0]:gsub("[^/]*$", "") .. "?.lua;" .. package.path -- modules beside this script
local resp = require "wire.resp"
local run = require "resp.commands"

local LIMIT = 10000           -- clients at once
local LONGEST_LINE = 64 * 1024 -- bytes of a command typed by hand

local host, port = arg[1] or "127.0.0.1", math.tointeger(arg[2] or 6381)
if arg[3] or not port or port < 0 or port > 65535 then
  io.stderr:write "usage: lariat resp_server.lua [HOST [PORT]]\n"
  os.exit(2)
end

-- The words of a command: an array of strings.
local function words_in(message)
  if message.kind ~= "array" or not message.items then return nil end
  local words = {}
  for i, item in ipairs(message.items) do
    if not item.data then return nil end
    words[i] = item.data
  end
  return words
end

-- The next command: its words; or nil, and what to tell the client, if anything. A command typed by
-- hand is a line of words; those bytes are taken raw, in between the messages.
local function read_command(conn)
  local first = conn:peek(1)
  if not first then return nil end
  if first ~= "*" then
    local line = conn:receive "*l"
    local words = {}
    for word in (line or ""):gmatch "%S+" do words[#words + 1] = word end
    return line and words
  end
  local command, message = resp:read(conn)
  local words = command and words_in(command)
  if words then return words end
  return nil, command and "strings expected" or message
end

local function handle(conn)
  conn:setoption("keepalive", true)
  conn:setoption("maxreceive", LONGEST_LINE)
  while true do
    local words, message = read_command(conn)
    if not words then
      if message and message ~= "closed" then
        resp:write(conn, { kind = "error", text = "ERR Protocol error: " .. message })
      end
      return
    end
    if words[1] and not resp:write(conn, run(words)) then return end
  end
end

local server, why = socket.bind(host, port, 511)
if not server then
  io.stderr:write("resp_server: ", why, "\n")
  os.exit(1)
end
print(("listening on %s %d"):format(server:getsockname()))
io.flush()

assert(server:serve(handle, { limit = LIMIT, name = "client" }))
