-- SPDX-License-Identifier: MIT
--
-- Every allocation of every call fails: run by spec/no_memory_spec.lua in a program of its own,
-- with no_memory.c preloaded. Each call below is prepared with memory and then run with the nth
-- allocation failing, and some that follow it, for n = 1, 2, ... until none fails. It may fail for
-- no other reason, and what it has not returned must still be there.
--
-- Usage: lariat no_memory.lua [words of the names]. The last line is "survived".

local lariat = require "lariat"
local socket = require "socket"
local task = require "lariat.task"

local MOST = 400 -- allocations that one call makes

local memory = setmetatable({}, { __index = function(_, n) return "NO_MEMORY=" .. n end })
for n = 0, MOST do memory[n] = memory[n] end -- the words need memory, too

local function pair()
  local server <close> = assert(socket.bind("127.0.0.1", 0))
  local host, port = server:getsockname()
  local near = assert(socket.connect(host, port))
  return near, assert(server:accept())
end

local function udp_pair()
  local near, far = assert(socket.udp4()), assert(socket.udp4())
  assert(near:setsockname("127.0.0.1", 0))
  assert(far:setsockname("127.0.0.1", 0))
  local host, port = far:getsockname()
  return near, far, host, port
end

local LINE = ("x"):rep(300000)

local function sends(text)
  return function()
    local near, far = pair()
    local sending = task.spawn(far.send, far, text)
    return near, far, sending, text
  end
end

-- What the call has not returned can still be received.
local function still_there(got, near, far, sending, text)
  sending:join()
  far:shutdown "send"
  local rest = select(3, near:receive(1 << 30))
  local whole = (got or "") .. rest
  assert(#whole == #text or #whole == #text - 1, "bytes were lost")
  near:close()
  far:close()
end

local function close_both(_, near, far)
  near:close()
  far:close()
end

-- name = { prepare, call, afterwards }; each is given what prepare returned.
local calls = {
  ["receive a line"] = { sends(LINE .. "\n"), function(c) return c:receive() end, still_there },
  ["receive to the end"] = { sends(LINE), function(c, far, sending)
    sending:join()
    far:shutdown "send"
    return c:receive "*a"
  end, still_there },
  ["receive a number of bytes"] = { sends(LINE), function(c) return c:receive(#LINE) end,
    still_there },
  ["receive behind a prefix"] = { sends(LINE .. "\n"), function(c)
    return c:receive("*l", LINE)
  end, function(got, ...) still_there(got and got:sub(#LINE + 1), ...) end },
  ["receive any"] = { sends(LINE), function(c) return c:receiveany() end, still_there },
  ["receive until"] = { sends(LINE .. ";;"), function(c)
    return c:receiveuntil(";;", { inclusive = true })
  end, still_there },
  ["peek"] = { sends(LINE), function(c) c:peek(#LINE) end, still_there },
  ["lines"] = { sends(LINE .. "\nx"), function(c) return c:lines "L"() end, still_there },
  ["receive from two in turn"] = { function()
    local near, far = pair()
    local near2, far2 = pair()
    far:send "one\ntwo\n"
    far2:send "three\nfour\n"
    far:flush()
    far2:flush()
    return near, far, near2, far2
  end, function(near, _, near2)
    assert(near:receive() == "one")
    assert(near2:receive() == "three")
  end, function(_, near, far, near2, far2)
    close_both(_, near, far)
    close_both(_, near2, far2)
  end },
  ["send"] = { pair, function(c)
    c:settimeout(0)
    for _ = 1, 200 do c:send(LINE) end
    return c:send "small"
  end, close_both },
  ["send a table"] = { pair, function(c) return c:send { LINE, 1, { "x", 2.5 } } end, close_both },
  ["send little"] = { pair, function(c)
    for i = 1, 20 do assert(c:send(i .. "\n")) end
    return c:flush()
  end, close_both },
  ["pipe"] = { function()
    local a, b = pair()
    local c, d = pair()
    local sending = task.spawn(function() a:send(LINE) a:shutdown "send" end)
    local reading = task.spawn(d.receive, d, "*a")
    return a, b, c, d, sending, reading
  end, function(_, b, c) return b:pipe(c) end, function(_, a, b, c, d, sending, reading)
    close_both(_, a, b)
    close_both(_, c, d)
    sending:cancel()
    reading:cancel()
  end },
  ["bind, connect and accept"] = { function() return {} end, function(s)
    s[1] = assert(socket.bind("127.0.0.1", 0))
    local host, port = s[1]:getsockname()
    s[2] = assert(socket.connect(host, port))
    s[3] = assert(s[1]:accept())
    s[2]:send "x"
    return s[3]:receive(1)
  end, function(_, s) for _, each in pairs(s) do each:close() end end },
  ["close with output pending"] = { pair, function(c)
    c:settimeout(0)
    for _ = 1, 200 do c:send(LINE) end
    return c:close()
  end, close_both },
  ["close with input unread"] = { sends "unread", function(c, far, sending)
    sending:join()
    far:flush()
    c:send "answer"
    return c:close()
  end, close_both },
  ["setoption of a master"] = { function() return assert(socket.tcp()) end, function(c)
    c:setoption("keepalive", true)
    return c:setoption("linger", { on = true, timeout = 1 })
  end, function(_, c) c:close() end },
  ["datagrams"] = { udp_pair, function(near, far, host, port)
    assert(near:sendto("hello", host, port))
    return far:receivefrom()
  end, close_both },
  ["datagrams in batches"] = { udp_pair, function(near, far, host, port)
    assert(near:sendmany { { "a", host, port }, { "b", host, port }, { "c", host, port } })
    return far:receivemany(2)
  end, close_both },
  ["datagrams of two in turn"] = { function()
    local near, far, host, port = udp_pair()
    local near2, far2, host2, port2 = udp_pair()
    for _ = 1, 3 do
      near:sendto("one", host, port)
      near2:sendto("two", host2, port2)
    end
    socket.select({ far, far2 }, nil, 0)
    return near, far, near2, far2
  end, function(_, far, _, far2)
    assert(far:receive() == "one")
    assert(far2:receive() == "two")
    assert(far:receive() == "one")
  end, function(_, near, far, near2, far2)
    close_both(_, near, far)
    close_both(_, near2, far2)
  end },
  ["select"] = { function()
    local near, far = pair()
    local many = {}
    for i = 1, 1000 do many[i] = near end
    return near, far, many
  end, function(_, _, many) return socket.select(many, many, 0) end, close_both },
  ["a task"] = { function() end, function() return task.spawn(task.sleep, 0):join() end,
    function() end },
  ["a timeout"] = { pair, function(c) return task.timeout(0.001, c.receive, c) end, close_both },
  ["a channel"] = { function() return task.channel(5) end, function(channel)
    for i = 1, 5 do channel:send(i) end
    return channel:receive()
  end, function(_, channel) channel:close() end },
  ["serve"] = { function()
    local server = assert(socket.bind("127.0.0.1", 0))
    local host, port = server:getsockname()
    return server, assert(socket.connect(host, port))
  end, function(server, client)
    client:settimeout(0.01)
    local serving <close> = task.spawn(server.serve, server, function(conn) -- luacheck: ignore
      conn:send "hello\n"
    end)
    return client:receive()
  end, close_both },
  ["a child"] = { function() end, function()
    local child <close> = assert(lariat.run { "true" })
    return child:wait()
  end, function() end },
  ["a signal"] = { function() end, function() return lariat.signal("USR2"):close() end,
    function() end },
}

lariat.onerror(function() end)

local function try(name, call)
  local prepare, f, afterwards = table.unpack(call)
  for n = 1, MOST do
    local given = table.pack(prepare())
    task.yield()
    local ok, message = pcall(function() -- or its result
      os.getenv(memory[n])
      return f(table.unpack(given, 1, given.n))
    end)
    local _, failures
    repeat _, failures = pcall(os.getenv, memory[0]) until _
    failures = tonumber(failures)
    if not ok and (failures == 0 or not tostring(message):find "memory") then
      error(("%s, %d: %s"):format(name, n, message))
    end
    afterwards(ok and message or nil, table.unpack(given, 1, given.n))
    collectgarbage()
    if failures == 0 then return n end
  end
  error(name .. ": " .. MOST .. " allocations are not enough")
end

local names = {}
for name in pairs(calls) do
  if not arg[1] or name:find(arg[1], 1, true) then names[#names + 1] = name end
end
table.sort(names)
for _, name in ipairs(names) do
  io.stdout:write(name, ": ")
  io.stdout:flush()
  local ok, result = pcall(try, name, calls[name])
  print(result)
  if not ok then os.exit(1) end
end
print "survived"
