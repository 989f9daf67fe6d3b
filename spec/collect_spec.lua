-- SPDX-License-Identifier: MIT
--
-- Lua's collector under lariat: scripts that choose how it works find it as Lua has it, and what it
-- is relied on for (abandoned sockets, finalizers, memory) holds whichever mode it is in. Specs run
-- in an exact state, in which nothing of this is at work: each starts a program of its own.

local run = require "spec.support.program"

local SCALE = tonumber(os.getenv "SCALE") or 1

-- Defines turns(n, kib): so many ticks, each of which makes so much garbage.
local GARBAGE = [[
  local socket = require "socket"
  local task = require "lariat.task"
  local function turns(count, kib)
    for i = 1, count do
      for _ = 1, kib do local _ = ("%-20d"):format(i):rep(50) end
      task.yield()
    end
  end
]]

-- An object is abandoned, and some garbage is made; then there is nothing to do. That is done with
-- more and more garbage, as how much Lua would collect by itself depends on the machine, until the
-- object is finalized in between: it does ACTION.
local IDLE = [[
  local server = assert(socket.bind("127.0.0.1", 0))
  local client = assert(socket.connect(server:getsockname()))
  local conn = assert(server:accept())
  conn:settimeout(0.1)
  local kept, waiting, line = {}, false, nil
  for i = 1, 5000 do kept[i] = ("%-20d"):format(i):rep(50) end
  turns(100, 200)
  local function abandon()
    setmetatable({}, { __gc = function() if waiting then ACTION end end })
  end
  for kib = 100, 4000, 100 do
    collectgarbage()
    abandon()
    for i = 1, kib do local _ = ("%-20d"):format(i):rep(50) end
    waiting = true
    line = line or conn:receive()
    waiting = false
  end
  print(line)
]]

local function output_of(code)
  local script <close> = run.file(GARBAGE .. code)
  local out, err, status = run.lariat { script.path }
  assert.same({ "", 0 }, { err, status })
  return out
end

describe("a script's own choice of the collector", function()
  for call, before in pairs {
    ["'incremental'"] = "incremental", ["'generational'"] = "incremental",
    ["'setpause', 150"] = 200, ["'setstepmul', 300"] = 100, ["'stop'"] = 0, ["'restart'"] = 0,
  } do
    it("by collectgarbage(" .. call .. ") finds what Lua has at first", function()
      local out = output_of("turns(50, 200) print(collectgarbage(" .. call .. "))")
      assert.equal(before .. "\n", out)
    end)
  end

  it("stays: the mode it chose is the one it finds later", function()
    assert.equal("incremental\nincremental\n152\n", output_of [[
      turns(50, 200)
      print(collectgarbage("incremental", 152))
      turns(200, 200)
      print(collectgarbage "generational")
      print(collectgarbage("setpause", 200))
    ]])
  end)

  it("to stop it stays: nothing is collected any more", function()
    assert.equal("false\tkept\n", output_of [[
      turns(50, 200)
      collectgarbage "stop"
      local weak = setmetatable({ {} }, { __mode = "v" })
      turns(50, 200)
      print(collectgarbage "isrunning", weak[1] and "kept" or "collected")
    ]])
  end)

  it("to step it comes to the end of a cycle", function()
    assert.equal("ended\n", output_of [[
      turns(50, 200)
      repeat until collectgarbage "step"
      print "ended"
    ]])
  end)

  it("by a full collection, or by looking, is none", function()
    assert.equal("0\ntrue\ttrue\tcollected\n", output_of [[
      turns(50, 200)
      local weak = setmetatable({ {} }, { __mode = "v" })
      print(collectgarbage())
      print(collectgarbage "isrunning", collectgarbage "count" < 2048, weak[1] or "collected")
    ]])
  end)

  it("in a finalizer is none, as Lua has it", function()
    assert.equal("nil\nincremental\n", output_of [[
      turns(50, 200)
      setmetatable({}, { __gc = function() print(collectgarbage "generational") end })
      collectgarbage()
      turns(50, 200)
      print(collectgarbage "generational")
    ]])
  end)

  it("that there is not is an error which names it", function()
    local out = output_of [[print(select(2, pcall(collectgarbage, "minor")))]]
    assert.equal("bad argument #1 to 'collectgarbage' (invalid option 'minor')\n", out)
  end)
end)

describe("the collector", function()
  it("closes a socket that is abandoned when it has long been in use", function()
    assert.equal("closed\n", output_of [[
      local server = assert(socket.bind("127.0.0.1", 0))
      local client = assert(socket.connect(server:getsockname()))
      local conn = assert(server:accept())
      turns(200, 200)
      conn = nil
      local garbage <close> = setmetatable({}, { __close = function(self) self.maker:cancel() end })
      garbage.maker = task.spawn(turns, math.huge, 200)
      print((select(2, client:receive())))
    ]])
  end)

  it("closes sockets that are abandoned when old, however little memory they take", function()
    assert.equal("no more than 1500\n", output_of [[
      local lariat = require "lariat"
      local ring, most = {}, 0
      turns(50, 200)
      for i = 1, 10000 do
        ring[i % 300] = assert(socket.udp4())
        assert(ring[i % 300]:setsockname("127.0.0.1", 0))
        if i % 10 == 0 then turns(1, 20) end
        if i % 100 == 0 then most = math.max(most, #lariat.sockets()) end
      end
      print(most <= 1500 and "no more than 1500" or most)
    ]])
  end)

  for code, what in pairs {
    ["client:send 'done\\n'"] = "send",
    ["task.spawn(function() client:send 'done\\n' end)"] = "spawn a task",
  } do
    it("runs while there is nothing to do, and its finalizers can " .. what, function()
      assert.equal("done\n", output_of(IDLE:gsub("ACTION", code)))
    end)
  end

  it("runs while there is nothing to do, and its finalizers can end the program", function()
    local script <close> = run.file(GARBAGE .. IDLE:gsub("ACTION", "os.exit(5)"))
    local out, err, status = run.lariat { script.path }
    assert.same({ "", "", 5 }, { out, err, status })
  end)

  for entries, what in pairs { [1000] = "small", [100000] = "large" } do
    it("keeps memory flat where every message replaces a part of a " .. what .. " heap", function()
      local out = output_of(([[
        local entries = %d
        local heap, before = {}, 0
        local most = 0
        for i = 1, entries do heap["entry" .. i] = "value of " .. i end
        task.yield()
        collectgarbage()
        before = collectgarbage "count"
        for i = 1, 3 * entries + 100000 do
          heap["entry" .. i %% entries + 1] = "another value, that of round " .. i
          if i %% 100 == 0 then task.yield() end
          if i %% 1000 == 0 then most = math.max(most, collectgarbage "count") end
        end
        print(most < 4 * before + 16384 and "flat" or most // before)
      ]]):format(entries // SCALE))
      assert.equal("flat\n", out)
    end)
  end
end)
