-- SPDX-License-Identifier: MIT
--
-- What lariat is, in one file: a server and clients, each written as if it were alone in the world,
-- talking over TCP and UDP. Run it with "make demo" or "lariat demo.lua".

local socket = require "socket"
local task = require "lariat.task"

local started = task.now()
local function say(who, what)
  print(("%5.2f s  %-9s %s"):format(task.now() - started, who, what))
end

-- The server: answers each line with its upper case, and knows one command. It is called once for
-- every connection, each time in a task of its own. receive looks as if it blocked; it suspends.
local function shout(conn)
  local host, port = conn:getpeername()
  say("server", ("%s:%d has connected"):format(host, port))
  for line in conn:lines() do
    if line == "count" then
      for i = 3, 1, -1 do
        conn:send(i .. "...\n")
        task.sleep(0.2) -- this client waits; the others, and UDP below, do not
      end
    end
    conn:send(line:upper() .. "!\n")
  end
  say("server", ("%s:%d has left"):format(host, port))
end

-- The same over UDP: a loop over datagrams.
local function shout_udp(udp)
  for data, host, port in udp:datagrams() do
    udp:sendto(data:upper() .. "!", host, port)
  end
end

-- A client: connects, talks, leaves. `<close>` closes the connection however the function ends.
local function talk(name, port, lines)
  local conn <close> = assert(socket.connect("localhost", port))
  conn:settimeout(5)
  for _, line in ipairs(lines) do
    say(name, "-> " .. line)
    conn:send(line .. "\n")
    repeat
      local answer = assert(conn:receive())
      say(name, "<- " .. answer)
    until answer:sub(-1) == "!"
  end
end

local function talk_udp(name, port, datagrams)
  local udp <close> = socket.udp()
  assert(udp:setpeername("127.0.0.1", port))
  udp:settimeout(5)
  for _, text in ipairs(datagrams) do
    say(name, "-> " .. text)
    assert(udp:send(text))
    say(name, "<- " .. assert(udp:receive()))
  end
end

-- Port 0 lets the kernel pick a free one.
local server = assert(socket.bind("127.0.0.1", 0))
local udp = socket.udp()
assert(udp:setsockname("127.0.0.1", 0))
local _, tcp_port = server:getsockname()
local _, udp_port = udp:getsockname()
say("server", ("listens on TCP port %d and UDP port %d"):format(tcp_port, udp_port))

local serving = task.spawn(server.serve, server, shout)
local echoing = task.spawn(shout_udp, udp)

-- Three clients at the same time.
local clients = {
  task.spawn(talk, "ann", tcp_port, { "hello", "count", "goodbye" }),
  task.spawn(talk, "bob", tcp_port, { "is anybody here", "nice" }),
  task.spawn(talk_udp, "carol", udp_port, { "hello over udp", "no connection at all" }),
}
for _, client in ipairs(clients) do
  assert(select("#", client:join()) == 0) -- join raises the task's error, if it had one
end

server:close() -- serve returns once its handlers have finished
serving:join()
udp:close() -- ends the loop over its datagrams
echoing:join()
say("demo", "the end: every task has finished, so the program ends")
