-- SPDX-License-Identifier: MIT
--
-- Debian's copas, unmodified: a scheduler of its own, which waits in socket.select. In lariat its
-- loop is one task among others; what runs in it are Copas's coroutines.

local lariat = require "lariat"
local peers = require "spec.support.peers"
local socket = require "socket"
local task = require "lariat.task"

-- Copas wants to be loaded before socket.http, and replaces socket.protect and socket.newtry.
local protect, newtry = socket.protect, socket.newtry
package.loaded["socket.http"] = nil
local copas = peers.require "copas"

local accepted = {} -- Copas keeps those that its loop has not seen the end of

local function running_loop()
  local loop = task.spawn(copas.loop)
  return setmetatable({}, { __close = function()
    loop:cancel()
    assert.same({ nil, "cancelled" }, { loop:join() })
    while accepted[1] do table.remove(accepted):close() end
  end })
end

describe("copas", function()
  local server, port

  teardown(function() socket.protect, socket.newtry = protect, newtry end)

  -- Copas has no way to forget a server: one serves all tests, `handler` answers.
  local handler
  setup(function()
    server = assert(socket.bind("127.0.0.1", 0))
    port = select(2, server:getsockname())
    copas.addserver(server, function(raw)
      table.insert(accepted, raw)
      return handler(copas.wrap(raw), raw)
    end)
  end)
  teardown(function() server:close() end)

  local function echo(conn)
    while true do
      local line = conn:receive()
      if not line then return end
      conn:send(line .. "\n")
    end
  end

  it("serves clients of other tasks", function()
    local loop <close> = running_loop()
    assert.is_table(loop)
    handler = echo
    local answers = peers.together(10, function(i)
      local conn <close> = assert(socket.connect("127.0.0.1", port))
      conn:settimeout(5)
      for line = 1, 10 do
        conn:send(i .. " " .. line .. "\n")
        assert.equal(i .. " " .. line, conn:receive())
      end
      return "done"
    end)
    assert.equal(10, #answers)
  end)

  it("serves another program", function()
    local loop <close> = running_loop()
    assert.is_table(loop)
    handler = echo
    local ncat <close> = assert(lariat.run { "ncat", "127.0.0.1", port, input = "from ncat\n" })
    assert.equal("from ncat", ncat.stdout:receive())
  end)

  it("moves a megabyte both ways", function()
    local loop <close> = running_loop()
    assert.is_table(loop)
    handler = function(conn) conn:send(conn:receive(1 << 20)) end
    local conn <close> = assert(socket.connect("127.0.0.1", port))
    local data = ("0123456789abcdef"):rep(1 << 16)
    conn:send(data)
    assert.is_true(conn:receive "a" == data)
  end)

  it("that waits for ten clients holds nobody else up", function()
    local loop <close> = running_loop()
    local ticker <close> = peers.ticker()
    assert.is_table(loop)
    local inside = 0
    handler = function(conn)
      inside = inside + 1
      conn:receive()
      conn:send "released\n"
    end
    local clients = {}
    for i = 1, 10 do clients[i] = assert(socket.connect("127.0.0.1", port)) end
    while inside < 10 do ticker:await(1) end
    ticker:await(10)
    for _, conn in ipairs(clients) do conn:send "go\n" end
    for _, conn in ipairs(clients) do
      assert.equal("released", conn:receive())
      conn:close()
    end
  end)

  it("tells its own handler of an error in a connection", function()
    local loop <close> = running_loop()
    assert.is_table(loop)
    local told
    handler = function()
      copas.setErrorHandler(function(message) told = message end)
      error("in a handler", 0)
    end
    local conn <close> = assert(socket.connect("127.0.0.1", port))
    assert.same({ nil, "closed", "" }, { conn:receive() })
    assert.equal("in a handler", told)
  end)

  it("runs ten threads that wait at a redis-server, while a ticker beats", function()
    local dir <close> = peers.directory()
    local redis_port = peers.free_port()
    local redis <close> = peers.start({ "redis-server", "--port", redis_port, "--bind",
      "127.0.0.1", "--save", "", "--dir", dir.path }, redis_port)
    local ticker <close> = peers.ticker()
    local items = 0
    local function thread(_, i)
      local raw = socket.tcp()
      assert(copas.connect(raw, "127.0.0.1", redis.port))
      local conn = copas.wrap(raw)
      conn:send(("BLPOP queue%d 0\r\n"):format(i))
      for _ = 1, 4 do conn:receive() end
      if conn:receive() == "item" then items = items + 1 end
      raw:close()
    end
    local threads = task.spawn(function()
      for i = 1, 10 do copas.addthread(thread, i) end
      while items < 10 do copas.step() end
    end)
    local admin <close> = assert(socket.connect("127.0.0.1", redis.port))
    repeat
      admin:send "INFO clients\r\n"
      local text = admin:receive(tonumber(admin:receive():sub(2)) + 2)
    until text:find "blocked_clients:10\r"
    ticker:await(10)
    for i = 1, 10 do admin:send(("RPUSH queue%d item\r\n"):format(i)) end
    threads:join()
    assert.equal(10, items)
  end)

  it("serves datagrams", function()
    local udp = socket.udp()
    assert(udp:setsockname("127.0.0.1", 0))
    local _, udp_port = udp:getsockname()
    local done
    copas.addserver(udp, function(raw)
      local conn = copas.wrap(raw)
      local data, host, from = conn:receivefrom()
      conn:sendto(data:upper(), host, from)
      done = true
    end)
    local serving = task.spawn(function() while not done do copas.step() end end)
    local client <close> = socket.udp()
    client:setpeername("127.0.0.1", udp_port)
    client:send "datagram"
    assert.equal("DATAGRAM", client:receive())
    serving:join()
    udp:close()
  end)

  it("whose thread calls a library that knows nothing of Copas waits alone", function()
    local ticker <close> = peers.ticker()
    local silent <close> = assert(socket.bind("127.0.0.1", 0))
    local _, silent_port = silent:getsockname()
    local result
    local threads = task.spawn(function()
      copas.addthread(function()
        local conn <close> = assert(socket.connect("127.0.0.1", silent_port))
        result = conn:receive() -- no copas.wrap: Copas itself stands still, nobody else
      end)
    end)
    local conn <close> = assert(silent:accept())
    ticker:await(10)
    conn:send "at last\n"
    threads:join()
    assert.equal("at last", result)
  end)
end)
