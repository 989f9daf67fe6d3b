-- SPDX-License-Identifier: MIT
-- Child processes: lariat.run, their streams, their end, and what they inherit.

local lariat = require "lariat"
local socket = require "socket"
local task = require "lariat.task"

local LARIAT = os.getenv "LARIAT" or "./lariat"
local SCALE = tonumber(os.getenv "SCALE") or 1

local function output(options)
  local child <close> = assert(lariat.run(options))
  local text = child.stdout:receive "a" or ""
  return text, child:wait()
end

-- True once no process has this number, as a zombie or otherwise.
local function gone(pid)
  local file = io.open("/proc/" .. pid .. "/stat")
  if file then file:close() end
  return not file
end

local function wait_until_gone(pid)
  while not gone(pid) do task.sleep(0.005) end
end

describe("a child process", function()
  it("is found in PATH and gives its output and exit code", function()
    local text, how, code = output { "sh", "-c", "echo hi; exit 7" }
    assert.equal("hi\n", text)
    assert.same({ "exit", 7 }, { how, code })
  end)

  it("that a signal ends is told from one that exits", function()
    local child <close> = assert(lariat.run { "sleep", 100 })
    assert.is_true(child:kill "SIGUSR1")
    assert.same({ "signal", "USR1" }, { child:wait() })
    assert.same({ nil, "exited" }, { child:kill() })
    assert.same({ "signal", "USR1" }, { child:wait() })
  end)

  it("that does not exist is no error of the script", function()
    local child, message = lariat.run { "no-such-program-anywhere" }
    assert.is_nil(child)
    assert.equal("no-such-program-anywhere: No such file or directory", message)
  end)

  it("that is not executable says so", function()
    local child, message = lariat.run { "/etc/passwd" }
    assert.is_nil(child)
    assert.equal("/etc/passwd: Permission denied", message)
  end)

  it("starts in the directory given, which must exist", function()
    assert.equal("/\n", (output { "pwd", cwd = "/" }))
    local child, message = lariat.run { "pwd", cwd = "/no/such/directory" }
    assert.is_nil(child)
    assert.equal("/no/such/directory: No such file or directory", message)
  end)

  it("passes bytes both ways at once, however many", function()
    local size = 10 * 1000 * 1000 // SCALE
    local data = ("0123456789abcdef"):rep(size // 16)
    local child <close> = assert(lariat.run { "cat", stdin = "pipe" })
    local writer = task.spawn(function()
      assert(child.stdin:send(data))
      child.stdin:close()
    end)
    assert.is_true(child.stdout:receive "a" == data)
    writer:join()
    assert.same({ "exit", 0 }, { child:wait() })
  end)

  it("sees the end of its input after shutdown, and later sends fail", function()
    local child <close> = assert(lariat.run { "cat", stdin = "pipe" })
    assert(child.stdin:send "all\n")
    assert(child.stdin:shutdown "send")
    assert.equal("all\n", child.stdout:receive "a")
    assert.same({ nil, "closed", 0 }, { child.stdin:send "more" })
  end)

  it("reads the input given as a text, also if it never does", function()
    local text = ("line\n"):rep(200000)
    assert.is_true(output { "cat", input = text } == text)
    assert.same({ "", "exit", 0 }, { output { "true", input = text } })
    assert.same({ "", "exit", 0 }, { output { "cat", input = "" } })
  end)

  it("that has stopped reading makes send say closed", function()
    local child <close> = assert(lariat.run { "true", stdin = "pipe" })
    child:wait()
    local last, message
    repeat last, message = child.stdin:send "x" child.stdin:flush() until not last
    assert.equal("closed", message)
  end)

  it("may have its errors apart, with its output, or nowhere", function()
    local both = { "sh", "-c", "echo out; echo err >&2" }
    local child <close> = assert(lariat.run { both[1], both[2], both[3], stderr = "pipe" })
    assert.equal("out\n", child.stdout:receive "a")
    assert.equal("err\n", child.stderr:receive "a")
    assert.equal("out\nerr\n", (output { both[1], both[2], both[3], stderr = "stdout" }))
    local quiet <close> = assert(lariat.run { "true", stdout = "null", stderr = "null" })
    assert.same({ nil, nil, nil }, { quiet.stdin, quiet.stdout, quiet.stderr })
    assert.same({ "exit", 0 }, { quiet:wait() })
  end)

  it("can be fed by another child's output", function()
    local first <close> = assert(lariat.run { "seq", 100000 })
    local second <close> = assert(lariat.run { "tail", "-n", 1, stdin = first.stdout })
    assert.same({ nil, "closed", "" }, { first.stdout:receive() })
    assert.equal("100000", second.stdout:receive())
    assert.same({ "exit", 0 }, { first:wait() })
  end)

  it("can have a connection as its input and output", function()
    local server <close> = assert(socket.bind("127.0.0.1", 0))
    local _, port = server:getsockname()
    local client <close> = assert(socket.connect("127.0.0.1", port))
    local conn = assert(server:accept())
    local child <close> = assert(lariat.run { "cat", stdin = conn, stdout = conn })
    assert(client:send "through\n")
    assert.equal("through", client:receive())
    client:shutdown "send"
    assert.same({ nil, "closed", "" }, { client:receive() })
    assert.same({ "exit", 0 }, { child:wait() })
  end)

  it("is refused a stream with input that the script has not read", function()
    local first <close> = assert(lariat.run { "printf", "one\\ntwo\\n" })
    assert.equal("one", first.stdout:receive())
    local child, message = lariat.run { "cat", stdin = first.stdout }
    assert.is_nil(child)
    assert.match("^stdin: has data", message)
    assert.equal("two", first.stdout:receive())
  end)

  it("can be waited for by several tasks, for a time, and not in vain", function()
    local child <close> = assert(lariat.run { "cat", stdin = "pipe" })
    assert.same({ nil, "timeout" }, { child:wait(0) })
    local tasks = {}
    for i = 1, 3 do tasks[i] = task.spawn(child.wait, child) end
    task.yield()
    tasks[2]:cancel()
    child.stdin:close()
    assert.same({ "exit", 0 }, { tasks[1]:join() })
    assert.same({ nil, "cancelled" }, { tasks[2]:join() })
    assert.same({ "exit", 0 }, { tasks[3]:join() })
  end)

  it("runs beside two hundred others", function()
    local children, tasks = {}, {}
    local count = math.max(10, 200 // SCALE)
    for i = 1, count do
      children[i] = assert(lariat.run { "sh", "-c", "read x; echo $x; exit 3", stdin = "pipe" })
    end
    for i, child in ipairs(children) do
      tasks[i] = task.spawn(function()
        assert(child.stdin:send(i .. "\n"))
        assert.equal(tostring(i), child.stdout:receive())
        assert.same({ "exit", 3 }, { child:wait() })
        child:close()
      end)
    end
    for _, each in ipairs(tasks) do each:join() end
  end)
end)

describe("the environment of a child", function()
  it("is ours with overrides", function()
    local text = output { "env", env = { LARIAT_SPEC = "set", COUNT = 3, PATH = os.getenv "PATH",
      HOME = false } }
    assert.match("\nLARIAT_SPEC=set\n", "\n" .. text)
    assert.match("\nCOUNT=3\n", "\n" .. text)
    assert.match("\nPATH=", "\n" .. text)
    assert.not_match("\nHOME=", "\n" .. text)
    assert.not_match("\nUV_THREADPOOL_SIZE=", "\n" .. text)
  end)

  it("starts empty if asked to", function()
    assert.equal("A=1\n", (output { "/usr/bin/env", clearenv = true, env = { A = "1" } }))
  end)

  it("has no descriptors but the standard ones, not even of io.open", function()
    local file <close> = assert(io.open "/dev/null")
    local server <close> = assert(socket.bind("127.0.0.1", 0))
    assert.is_not_nil(file and server)
    -- ls itself has opened the directory
    assert.equal("0\n1\n2\n3\n", (output { "ls", "/proc/self/fd" }))
  end)

  it("dies of a broken pipe as usual", function()
    local _, how, name = output { "sh", "-c", "kill -PIPE $$; echo survived" }
    assert.same({ "signal", "PIPE" }, { how, name })
  end)

  it("has the descriptor limit that lariat was started with", function()
    local script = [[
      local child = require "lariat".run { "sh", "-c", "ulimit -n" }
      print((child.stdout:receive()))]]
    local text = output { "sh", "-c", 'ulimit -Sn 256; exec "$0" -e "$1"', LARIAT, script }
    assert.equal("256\n", text)
  end)
end)

describe("a child nobody needs any more", function()
  it("is ended by close, which does not wait for it", function()
    local child = assert(lariat.run { "cat", stdin = "pipe" })
    local reader = task.spawn(child.stdout.receive, child.stdout)
    local waiter = task.spawn(child.wait, child)
    task.yield()
    child:close()
    child:close()
    assert.same({ nil, "closed", "" }, { reader:join() })
    assert.same({ nil, "closed" }, { waiter:join() })
    assert.same({ nil, "closed" }, { child:wait() })
    assert.same({ nil, "closed" }, { child:kill() })
    wait_until_gone(child.pid)
  end)

  it("is ended when its variable goes", function()
    local pid
    do
      local child <close> = assert(lariat.run { "sleep", 1000 })
      pid = child.pid
    end
    wait_until_gone(pid)
  end)

  it("is killed if it does not end when asked", function()
    local child = assert(lariat.run { LARIAT, "-e", [[
      local lariat = require "lariat"
      local term = lariat.signal "TERM"
      print "ready"
      while true do term:wait() end]] })
    assert.equal("ready", child.stdout:receive())
    child:close()
    wait_until_gone(child.pid)
  end)

  it("is ended by the garbage collector, but not while a stream of it is in use", function()
    local stream = assert(lariat.run { "cat", stdin = "pipe" }).stdin
    local pid = assert(lariat.run { "sleep", 1000 }).pid
    collectgarbage()
    collectgarbage()
    wait_until_gone(pid)
    assert(stream:send "still there")
    assert(stream:flush())
    stream:close()
  end)

  it("does not outlive the program", function()
    local text, how, code = output { LARIAT, "-e", [[
      local lariat = require "lariat"
      kept = lariat.run { "sleep", 1000 }
      print(kept.pid)]] }
    assert.same({ "exit", 0 }, { how, code })
    assert.is_true(gone(text:match "%d+"))
  end)
end)

describe("a child of os.execute and io.popen", function()
  -- What it prints, run by a lariat whose soft limit of descriptors is 100.
  local function both(command)
    return (output { "sh", "-c", "ulimit -S -n 100; exec $L -e \"$S\"", env = {
      L = os.getenv "LARIAT" or "./lariat", UV_THREADPOOL_SIZE = false, C = command, S = [[
        local command = os.getenv "C"
        local got = io.popen(command):read "a"
        io.write(got)
        io.stdout:flush()
        print(os.execute(command))]] } })
  end

  it("has the limits of descriptors that lariat was started with, soft and hard", function()
    local hard = output { "sh", "-c", "ulimit -H -n" }
    local text = "100\n" .. hard
    assert.equal(text .. text .. "true\texit\t0\n", both "ulimit -S -n; ulimit -H -n")
  end)

  it("has them also where more descriptors are open than they allow", function()
    local text = output { "sh", "-c", "ulimit -S -n 20; exec $L -e \"$S\"", env = {
      L = os.getenv "LARIAT" or "./lariat", S = [[
        local files = {}
        for i = 1, 100 do files[i] = assert(io.open "/dev/null") end
        print(io.popen("ulimit -n"):read(), (os.execute "test $(ulimit -n) = 20"))
        print(#files)]] } }
    assert.equal("20\ttrue\n100\n", text)
  end)

  it("has no UV_THREADPOOL_SIZE of ours, and keeps one that was set", function()
    assert.equal("none\nnone\ntrue\texit\t0\n", both "echo ${UV_THREADPOOL_SIZE-none}")
    local text = output { "sh", "-c", "exec $L -e \"$S\"", env = { UV_THREADPOOL_SIZE = 3,
      L = os.getenv "LARIAT" or "./lariat", S = "os.execute 'echo $UV_THREADPOOL_SIZE'" } }
    assert.equal("3\n", text)
  end)

  it("dies of a broken pipe as usual", function()
    assert.equal("y\ny\ntrue\texit\t0\n", both "yes | head -1")
    assert.same({ nil, "signal", 13 }, { os.execute "kill -PIPE $$; echo survived" })
    assert.same({ nil, "signal", 13 }, { io.popen "kill -PIPE $$; echo survived":close() })
  end)

  it("ends as in stock Lua: its status, its signal, its input and its output", function()
    assert.same({ true, "exit", 0 }, { os.execute "exit 0" })
    assert.same({ nil, "exit", 3 }, { os.execute "exit 3" })
    assert.same({ nil, "signal", 9 }, { os.execute "kill -9 $$" })
    assert.is_true(os.execute())
    local file = io.popen "echo out; exit 5"
    assert.same({ "out", nil }, { file:read("l", "l") })
    assert.same({ nil, "exit", 5 }, { file:close() })
    assert.equal("closed file", io.type(file))
    file = io.popen("read x; test \"$x\" = in", "w")
    assert(file:write "in\n")
    assert.same({ true, "exit", 0 }, { file:close() })
    assert.error_matches(function() io.popen("true", "rw") end,
      "bad argument #2 to 'popen' %(invalid mode%)")
  end)
end)

describe("misuse of run", function()
  local function fails(message, options)
    local ok, err = pcall(function() lariat.run(options) end)
    assert.is_false(ok)
    assert.match(message, err, 1, true)
    assert.match("process_spec.lua:%d+: ", err)
  end

  it("raises and names the field", function()
    fails("bad argument #1 to 'run' (table expected, got string)", "ls")
    fails("bad field '1' of 'run' (name of a program expected)", {})
    fails("bad field '2' of 'run' (string expected, got boolean)", { "ls", true })
    fails("bad field '2' of 'run' (contains a zero byte)", { "ls", "a\0b" })
    fails("bad argument #1 to 'run' (no such option 'stdni': did you mean 'stdin'?)",
      { "ls", stdni = "pipe" })
    fails("bad field 'stdin' of 'run' ('pipe', 'inherit', 'null', a listener or a stream expected, "
      .. "got 'x')", { "ls", stdin = "x" })
    fails("bad field 'stdout' of 'run'", { "ls", stdout = "stdout" })
    fails("bad field 'stdin' of 'run'", { "ls", stdin = socket.udp() })
    local listener <close> = assert(socket.bind("127.0.0.1", 0))
    fails("bad field 'stdout' of 'run'", { "ls", stdout = listener })
    fails("bad field 'input' of 'run' (stdin is given, too)", { "ls", stdin = "pipe", input = "" })
    fails("bad field 'env' of 'run' ('A=B' is no name of a variable)", { "ls",
      env = { ["A=B"] = "" } })
    fails("bad field 'env.A' of 'run' (string expected, got boolean)", { "ls", env = { A = true } })
    fails("bad field 'cwd' of 'run' (string expected, got number)", { "ls", cwd = 1 })
  end)

  it("includes unknown signals", function()
    local child <close> = assert(lariat.run { "sleep", 1000 })
    assert.has_error(function() child:kill "FOO" end)
    assert.has_error(function() child:kill(9) end)
  end)
end)
