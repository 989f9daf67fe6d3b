-- SPDX-License-Identifier: MIT
--
-- Memory that is not there: the call that needs it fails, with an error that can be caught; nothing
-- that was received is lost by it, and the program lives. (The address sanitizer has a malloc of
-- its own, and needs more than any limit: with it there is nothing to try.)

local lariat = require "lariat"
local program = require "spec.support.program"

local LIMIT = 200000 -- KiB of address space

local function run(command)
  command.stderr = "stdout"
  local child <close> = assert(lariat.run(command))
  local output = child.stdout:receive "*a" or ""
  local how, status = child:wait()
  return output, how .. " " .. status
end

-- Runs a script under the limit: what it prints, and how it ended.
local function limited(text, ...)
  local script <close> = program.file(text)
  return run { "sh", "-c", ("ulimit -v %d && exec \"$@\""):format(LIMIT), "sh", program.path,
    script.path, ... }
end

local ENDLESS = [[
  local socket = require "socket"
  local task = require "lariat.task"
  local server = assert(socket.bind("127.0.0.1", 0))
  local host, port = server:getsockname()
  local function flood()
    local conn <close> = assert(socket.connect(host, port))
    local chunk = ("x"):rep(1 << 20)
    while conn:send(chunk) do end
  end
  local calls = {
    ["receive a line"] = function(conn) return conn:receive() end,
    ["receive to the end"] = function(conn) return conn:receive "*a" end,
    ["receive a number of bytes"] = function(conn) return conn:receive(1 << 40) end,
    ["receive behind a prefix"] = function(conn) return conn:receive("*l", "prefix") end,
    ["receiveuntil"] = function(conn) return conn:receiveuntil "no such end" end,
    ["peek"] = function(conn) return conn:peek(1 << 40) end,
    ["lines"] = function(conn) return conn:lines()() end,
  }
]]

local function unless_sanitized(name, f)
  it(name, function()
    if not os.getenv "ASAN_OPTIONS" then f() end
  end)
end

describe("under a limit of memory an endless unit", function()
  unless_sanitized("raises Lua's memory error, and its bytes can still be received", function()
    local names = { "receive a line", "receive to the end", "receive a number of bytes",
      "receive behind a prefix", "receiveuntil", "peek", "lines" }
    for _, name in ipairs(names) do
      local output, ended = limited(ENDLESS .. [[
        local flooding = task.spawn(flood)
        local conn = assert(server:accept())
        print(pcall(calls[arg[1] ], conn))
        print(#conn:receive(100000))
        conn:close()
        flooding:join()
        print "alive"
      ]], name)
      assert.same({ "false\tnot enough memory\n100000\nalive\n", "exit 0", name },
        { output, ended, name })
    end
  end)

  unless_sanitized("ends its handler, and the server goes on", function()
    local output, ended = limited(ENDLESS .. [[
      local serving = task.spawn(server.serve, server, function(conn)
        local line = conn:receive()
        conn:send(#line .. "\n")
      end)
      for _ = 1, 3 do
        flood()
        local client <close> = assert(socket.connect(host, port))
        client:send "hello\n"
        print(client:receive())
      end
      server:close()
      serving:join()
    ]])
    assert.equal(3, select(2, output:gsub("not enough memory", "")))
    assert.equal(3, select(2, output:gsub("5\tnil\tnil\n", "")))
    assert.equal("exit 0", ended)
  end)

  unless_sanitized("that ends, but is too large for a string, can be taken in parts", function()
    local output, ended = limited(ENDLESS .. [[
      local client = assert(socket.connect(host, port))
      local conn = assert(server:accept())
      local size = 100 << 20
      local sending = task.spawn(function()
        for _ = 1, 100 do client:send(("x"):rep(1 << 20)) end
        client:send "\nnext\n"
      end)
      print(pcall(conn.receive, conn))
      sending:join()
      local left = size
      while left > 0 do left = left - #conn:receive(math.min(left, 1 << 20)) end
      print(conn:receive(), conn:receive())
    ]])
    assert.equal("false\tnot enough memory\n\tnext\tnil\tnil\n", output)
    assert.equal("exit 0", ended)
  end)

  unless_sanitized("that is sent in a table raises it as well", function()
    local output, ended = limited(ENDLESS .. [[
      local client = assert(socket.connect(host, port))
      local conn = assert(server:accept())
      local list, text = {}, ("x"):rep(1 << 20)
      for i = 1, 1000 do list[i] = text end
      print(pcall(client.send, client, list))
      client:send "hello\n"
      print(conn:receive())
    ]])
    assert.equal("false\tnot enough memory\nhello\tnil\tnil\n", output)
    assert.equal("exit 0", ended)
  end)
end)

describe("an allocation that fails", function()
  local library = os.tmpname()

  setup(function()
    local output, ended = run { os.getenv "CC" or "cc", "-shared", "-fPIC", "-O1", "-o", library,
      "spec/support/no_memory.c" }
    assert.equal("exit 0", ended, output)
  end)

  teardown(function() os.remove(library) end)

  unless_sanitized("in any call, fails that call alone", function()
    local output, ended = run { program.path, "spec/support/no_memory.lua",
      env = { LD_PRELOAD = library } }
    assert.matches("survived\n", output)
    assert.matches("^exit", ended) -- with 1 if it was a task that could not begin
  end)
end)
