-- SPDX-License-Identifier: MIT
-- The standard streams, in child lariats whose streams are pipes, files, sockets and a terminal.

local lariat = require "lariat"
local socket = require "socket"

local LARIAT = os.getenv "LARIAT" or "./lariat"

local PRELUDE = [[
  local lariat, socket, task = require "lariat", require "socket", require "lariat.task"
  local stdin, stdout = lariat.stdin, lariat.stdout
]]

local function start(script, options)
  options = options or {}
  options[1], options[2], options[3] = LARIAT, "-e", PRELUDE .. script
  for i = 4, 9 do options[i] = options["arg" .. i] end
  options.stdin = options.stdin or not options.input and "pipe" or nil
  return assert(lariat.run(options))
end

-- A child whose streams the shell redirects, as "< file".
local function start_redirected(script, redirection, options)
  options = options or {}
  options[1], options[2] = "sh", "-c"
  options[3] = 'exec "$0" -e "$1" ' .. redirection
  options[4], options[5] = LARIAT, PRELUDE .. script
  return assert(lariat.run(options))
end

local function temporary(text)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  assert(file:write(text))
  assert(file:close())
  return path, setmetatable({}, { __close = function() os.remove(path) end })
end

-- Answers every line from the network while the main task reads stdin.
local ANSWER_BOTH = [[
  local conn = assert(socket.connect("127.0.0.1", %d))
  local network = task.spawn(function()
    for line in conn:lines() do conn:send("network " .. line .. "\n") end
  end)
  for line in stdin:lines() do stdout:send("stdin " .. line .. "\n") end
  network:join()]]

local function listen()
  local server = assert(socket.bind("127.0.0.1", 0))
  local _, port = server:getsockname()
  return server, port
end

describe("standard input", function()
  it("does not stop the network when it is a pipe", function()
    local server <close>, port = listen()
    local child <close> = start(ANSWER_BOTH:format(port))
    local conn <close> = assert(server:accept())
    for i = 1, 3 do
      conn:send(i .. "\n")
      assert.equal("network " .. i, conn:receive())
      child.stdin:send(i .. "\n")
      assert.equal("stdin " .. i, child.stdout:receive())
    end
    child.stdin:close()
    conn:send "late\n"
    assert.equal("network late", conn:receive())
    conn:shutdown "send"
    assert.same({ "exit", 0 }, { child:wait() })
  end)

  it("does not stop the network when it is a terminal", function()
    local server <close>, port = listen()
    local command = LARIAT .. " -e '" .. PRELUDE .. ANSWER_BOTH:format(port) .. "'"
    local child <close> = assert(lariat.run { "script", "-qec", "stty -echo -onlcr; " .. command,
      "/dev/null", stdin = "pipe" })
    local conn <close> = assert(server:accept())
    conn:send "a\n"
    assert.equal("network a", conn:receive())
    child.stdin:send "b\n"
    assert.equal("stdin b", child.stdout:receive())
    conn:send "c\n"
    assert.equal("network c", conn:receive())
    child.stdin:send "\4" -- end of file, as a terminal has it
    conn:close()
    assert.same({ "exit", 0 }, { child:wait() })
  end)

  it("does not starve other tasks when it is a file", function()
    local path, file <close> = temporary(("a line of text\n"):rep(300000))
    assert.is_not_nil(file)
    local child <close> = start_redirected([[
      local turns, done = 0, false
      task.spawn(function() while not done do turns = turns + 1 task.yield() end end)
      local size = 0
      for line in stdin:lines "L" do size = size + #line end
      done = true
      print(size, turns > 10)]], "< " .. path)
    assert.equal("4500000\ttrue\n", child.stdout:receive "a")
  end)

  it("ends at once when it is /dev/null, an empty file or closed", function()
    local path, file <close> = temporary ""
    assert.is_not_nil(file)
    for _, from in ipairs { "< /dev/null", "< " .. path, "<&-" } do
      local child <close> = start_redirected("print(stdin:receive())", from)
      assert.equal("nil\tclosed\t\n", child.stdout:receive "a")
    end
  end)

  it("may be a socket", function()
    local server <close>, port = listen()
    local client <close> = assert(socket.connect("127.0.0.1", port))
    local conn = assert(server:accept())
    local child <close> = start([[for line in stdin:lines "L" do stdout:send(line) end]],
      { stdin = conn, stdout = conn })
    client:send "first\n"
    assert.equal("first", client:receive())
    client:send "second"
    client:shutdown "send"
    assert.equal("second", client:receive "a")
    assert.same({ "exit", 0 }, { child:wait() })
  end)

  it("loses nothing to a cancelled or timed out receive", function()
    local child <close> = start [[
      local reader = task.spawn(stdin.receive, stdin, 10)
      task.yield()
      print("half?", stdin:receive())
      reader:cancel()
      reader:join()
      stdin:settimeout(0)
      print(stdin:receive(10))
      stdin:settimeout(nil)
      print "ready" io.stdout:flush()
      print(stdin:receive(10))]]
    assert.equal("half?\tnil\tsocket busy reading", child.stdout:receive())
    assert.equal("nil\ttimeout\t", child.stdout:receive())
    assert.equal("ready", child.stdout:receive())
    child.stdin:send "0123456789"
    assert.equal("0123456789\tnil\tnil", child.stdout:receive())
  end)

  it("can be looked at before it is read", function()
    local child <close> = start([[print(stdin:peek(4), stdin:receive(), stdin:receiveany())]],
      { input = "word and more\nrest" })
    assert.equal("word\tword and more\trest\n", child.stdout:receive "a")
  end)

  it("stays open for C when its stream is closed", function()
    local child <close> = start([[
      stdin:close()
      print(stdin:receive())
      print(io.read())]], { input = "for io.read\n" })
    assert.equal("nil\tclosed\t\nfor io.read\n", child.stdout:receive "a")
  end)

  it("keeps its flags and its terminal settings", function()
    local script = [[
      local function flags() return io.popen("grep flags /proc/self/fdinfo/0"):read() end
      local before = flags()
      local stdin, task = require("lariat").stdin, require("lariat.task")
      local reader = task.spawn(stdin.receive, stdin)
      task.yield()
      print(flags() == before and "same" or "other")
      reader:cancel()]]
    local piped <close> = assert(lariat.run { LARIAT, "-e", script, stdin = "pipe" })
    assert.equal("same\n", piped.stdout:receive "a")
    local command = LARIAT .. " -e '" .. script .. "'"
    local child <close> = assert(lariat.run { "script", "-qec",
      "stty -onlcr; stty -g; " .. command .. "; stty -g", "/dev/null", stdin = "pipe" })
    local before = child.stdout:receive()
    assert.equal("same", child.stdout:receive())
    assert.equal(before, child.stdout:receive())
    assert.same({ "exit", 0 }, { child:wait() })
  end)
end)

describe("standard output", function()
  local MIXED = [[
    for i = 1, 50 do
      print(i, "print")
      stdout:send(i .. " send\n")
      io.write(i, " write\n")
      lariat.stderr:send(i .. " stderr\n")
    end]]
  local expected = {}
  for i = 1, 50 do
    expected[i] = ("%d\tprint\n%d send\n%d write\n%d stderr\n"):format(i, i, i, i)
  end

  it("keeps the order of print, io.write and send", function()
    local child <close> = start(MIXED, { stderr = "stdout" })
    assert.equal(table.concat(expected), child.stdout:receive "a")
    local path, file <close> = temporary ""
    assert.is_not_nil(file)
    local redirected <close> = start_redirected(MIXED, "> " .. path .. " 2>&1")
    redirected:wait()
    assert.equal(table.concat(expected), io.open(path):read "a")
  end)

  it("takes more than the pipe holds, and only its task waits", function()
    local child <close> = start([[
      local sent = false
      local sender = task.spawn(function()
        assert(stdout:send(("x"):rep(1000000)) == 1000000)
        sent = true
      end)
      task.yield()
      lariat.stderr:send(tostring(sent) .. "\n")
      assert(stdin:receive() == "go on")
      sender:join()
      print "end"]], { stderr = "pipe" })
    assert.equal("false", child.stderr:receive())
    child.stdin:send "go on\n" -- read while the sender waits for us
    assert.equal(("x"):rep(1000000) .. "end\n", child.stdout:receive "a")
    assert.same({ "exit", 0 }, { child:wait() })
  end)

  it("tells how much was sent when the time is up", function()
    local child <close> = start([[
      stdout:settimeout(0)
      local ok, message, last = stdout:send(("x"):rep(1000000))
      lariat.stderr:send(tostring(ok) .. " " .. message .. " " .. last .. "\n")]],
      { stderr = "pipe" })
    local last = child.stderr:receive():match "^nil timeout (%d+)$"
    assert.equal(tonumber(last), #child.stdout:receive "a")
  end)

  it("says closed when nobody reads it", function()
    local child <close> = start([[
      stdin:receive()
      local ok, message = stdout:send "x"
      lariat.stderr:send(tostring(ok) .. " " .. message .. "\n")]], { stderr = "pipe" })
    child.stdout:close()
    child.stdin:send "closed by now\n"
    assert.equal("nil closed", (child.stderr:receive()))
    assert.same({ "exit", 0 }, { child:wait() })
  end)

  it("takes what is piped into it, and stays open", function()
    local server <close>, port = listen()
    local child <close> = start(([[
      local conn = assert(socket.connect("127.0.0.1", %d))
      print(conn:pipe(stdout))
      print(stdout:shutdown "send")
      stdout:send "still open\n"]]):format(port))
    local conn <close> = assert(server:accept())
    assert(conn:send(("y"):rep(300000) .. "\n"))
    conn:close()
    assert.equal(("y"):rep(300000) .. "\n300001\n1\nstill open\n", child.stdout:receive "a")
  end)

  it("is a closed stream where the program was started without it", function()
    local child <close> = start_redirected([[
      local ok, message = stdout:send "x"
      io.stdout:setvbuf "no"
      local written, why = io.write "x"
      local file <close> = io.open "/dev/null" -- which must not become standard output
      assert(file and print "lost" == nil)
      lariat.stderr:send(("%s %s, %s %s\n"):format(ok, message, written, why))
      print(lariat.stderr)]], ">&-", { stderr = "pipe" })
    assert.equal("nil closed, nil Bad file descriptor\n", child.stderr:receive "*a")
    assert.same({ "exit", 0 }, { child:wait() })
    local both <close> = start_redirected([[
      local ok, message = lariat.stderr:send "x"
      print(ok, message, io.stderr:write "x")]], "2>&-")
    assert.equal("nil\tclosed\tnil\tBad file descriptor\t9\n", both.stdout:receive "*a")
  end)

  it("is closed for children, too, where the program was started without it", function()
    local child <close> = start_redirected([[
      local echo = "echo x; echo $? >&2"
      lariat.run({ "sh", "-c", echo, stdout = "inherit" }):wait()
      os.execute(echo)]], ">&-", { stderr = "pipe" })
    local text = child.stderr:receive "*a"
    assert.equal(2, select(2, text:gsub("\n[1-9]%d*\n", "")))
  end)

  it("can be closed without closing print's", function()
    local child <close> = start [[
      stdout:send "one\n"
      stdout:close()
      print(stdout:send "two")]]
    assert.equal("one\nnil\tclosed\t0\n", child.stdout:receive "a")
  end)
end)
