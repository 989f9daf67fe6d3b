-- SPDX-License-Identifier: MIT
--
-- A chat server for any line client: ncat HOST PORT, telnet, nc. The first line is the nickname,
-- the others are said to everybody else. /who lists who is here, /quit leaves.
--
--   lariat chat_server.lua [HOST [PORT]]          (default 127.0.0.1 7002; port 0: any free port)
--
-- The danger of a chat is a client that does not read: its messages pile up. Here nobody waits for
-- it. What is sent goes into its queue: the kernel's, and behind that the runtime's 64 KiB. When
-- both are full a send would have to wait, and the client is dropped instead. The other danger is
-- one that floods: it would fill the queues of those who do read. So it is read slowly.

local socket = require "socket"
local task = require "lariat.task"

local LIMIT = 1000        -- clients at once
local LONGEST_LINE = 2000 -- bytes; a client that sends longer ones is shown the door
local NICK_TIMEOUT = 60   -- seconds to say a nickname
local KERNEL_QUEUE = 16 * 1024
local RATE = 128 * 1024   -- bytes a second that one client may say

local host, port = arg[1] or "127.0.0.1", math.tointeger(arg[2] or 7002)
if arg[3] or not port or port < 0 or port > 65535 then
  io.stderr:write "usage: lariat chat_server.lua [HOST [PORT]]\n"
  os.exit(2)
end

local members = {} -- nickname -> connection

-- Queues `text` for one client, or drops it if its queue is full: with a timeout of 0 send takes
-- what fits and never waits.
local function post(nick, text)
  local conn = members[nick]
  conn:settimeout(0)
  local ok = conn:send(text)
  conn:settimeout(nil)
  if ok then return end
  members[nick] = nil
  conn:setoption("linger", { on = true, timeout = 0 }) -- what is queued shall not be kept
  conn:close() -- its own task's receive returns nil, "closed"
end

local function broadcast(text, except)
  local nicks = {} -- a copy: post may change the table
  for nick in pairs(members) do nicks[#nicks + 1] = nick end
  for _, nick in ipairs(nicks) do
    if nick ~= except and members[nick] then post(nick, text) end
  end
end

-- Lines go to other people's terminals: no control characters, no escape sequences.
local function clean(line)
  return (line:gsub("\t", " "):gsub("%c", ""))
end

local function ask_nick(conn)
  conn:settimeout(NICK_TIMEOUT, "t") -- for each call as a whole, however slowly bytes drip in
  local prompt = "Your nickname?\n"
  for _ = 1, 5 do
    if not conn:send(prompt) then return nil end
    local nick = conn:receive()
    if not nick then return nil end
    nick = clean(nick)
    if #nick > 20 or not nick:find "^[%w_-]+$" then
      prompt = "Letters, digits, - and _, at most 20. Your nickname?\n"
    elseif members[nick] then
      prompt = "That one is taken. Your nickname?\n"
    else
      conn:settimeout(nil, "t")
      return nick
    end
  end
end

local function who()
  local nicks = {}
  for nick in pairs(members) do nicks[#nicks + 1] = nick end
  table.sort(nicks)
  return "* here: " .. table.concat(nicks, " ") .. "\n"
end

local function converse(conn, nick)
  while members[nick] == conn do
    local line = conn:receive()
    if not line then return end -- closed, reset, dropped, or "too long"
    task.sleep((#line + 100) / RATE) -- meanwhile nothing is read: TCP makes the sender wait
    line = clean(line)
    local command = line:match "^/%w+"
    if command == "/quit" then
      return
    elseif command then
      post(nick, command == "/who" and who() or "* /who or /quit\n")
    elseif line ~= "" then
      broadcast(("<%s> %s\n"):format(nick, line), nick)
    end
  end
end

local server, message = socket.bind(host, port, 128)
if not server then
  io.stderr:write("chat_server: ", message, "\n")
  os.exit(1)
end
print(("listening on %s %d"):format(server:getsockname()))
io.flush()

assert(server:serve(function(conn)
  conn:setoption("maxreceive", LONGEST_LINE)
  conn:setoption("send-buffer-size", KERNEL_QUEUE)
  conn:setoption("keepalive", true)
  local nick = ask_nick(conn)
  if not nick then return end
  members[nick] = conn
  post(nick, ("* welcome, %s\n"):format(nick))
  broadcast(("* %s is here\n"):format(nick), nick)
  converse(conn, nick)
  if members[nick] == conn then members[nick] = nil end
  broadcast(("* %s has left\n"):format(nick))
end, { limit = LIMIT }))
