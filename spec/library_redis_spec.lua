-- SPDX-License-Identifier: MIT
--
-- Debian's lua-redis, unmodified, against a redis-server and servers that misbehave. It does
-- its I/O inside coroutines of its own: transactions, pub/sub and monitor are generators.

local net = require "spec.support.net"
local peers = require "spec.support.peers"
local redis = peers.require "redis"
local task = require "lariat.task"

describe("lua-redis", function()
  local dir, server

  local function connect()
    return redis.connect("127.0.0.1", server.port)
  end

  setup(function()
    dir = peers.directory()
    local port = peers.free_port()
    server = peers.start({ "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "",
      "--dir", dir.path, "--unixsocket", dir.path .. "/sock" }, port)
  end)

  teardown(function()
    server:close()
    dir:close()
  end)

  before_each(function()
    local client = connect()
    client:flushall()
    client:quit()
  end)

  it("speaks commands, each with its kind of reply", function()
    local client = connect()
    assert.is_true(client:ping())
    assert.is_true(client:set("k", "v\r\n\0binary"))
    assert.equal("v\r\n\0binary", client:get "k")
    assert.is_nil(client:get "none")
    assert.equal(3, client:rpush("list", "a", "b", "c"))
    assert.same({ "a", "b", "c" }, client:lrange("list", 0, -1))
    client:hmset("hash", "x", 1, "y", 2)
    assert.same({ x = "1", y = "2" }, client:hgetall "hash")
    assert.equal("string", client:type "k")
    client:quit()
  end)

  it("raises the server's errors", function()
    local client = connect()
    client:set("k", "text")
    assert.error_matches(function() client:lpush("k", 1) end, "WRONGTYPE")
    assert.equal("text", client:get "k")
    client:quit()
  end)

  it("moves a value of a megabyte", function()
    local client = connect()
    local value = ("0123456789abcdef"):rep(1 << 16)
    client:set("big", value)
    assert.is_true(client:get "big" == value)
    client:quit()
  end)

  it("speaks over a unix socket", function()
    local client = redis.connect("unix://" .. dir.path .. "/sock")
    assert.is_true(client:ping())
    client:quit()
  end)

  -- Only commands whose replies it converts, to booleans say: with others its table.insert fails on
  -- any Lua since 5.3, LuaSocket or not.
  it("pipelines", function()
    local client = connect()
    local replies, count = client:pipeline(function(p)
      for i = 1, 1000 do p:setnx("n" .. i % 500, i) end
      p:exists "n499"
    end)
    assert.equal(1001, count)
    assert.same({ true, false, true }, { replies[500], replies[501], replies[1001] })
    client:quit()
  end)

  it("runs a transaction", function()
    local client = connect()
    local replies = client:transaction(function(t)
      t:set("a", 1)
      t:incr "a"
      t:get "a"
    end)
    assert.same({ true, 2, "2" }, replies)
    client:quit()
  end)

  it("runs a transaction that checks and sets again when another client was faster", function()
    local client, rival = connect(), connect()
    client:set("n", 1)
    local attempts = 0
    local replies = client:transaction({ watch = "n", cas = true, retry = 3 }, function(t)
      attempts = attempts + 1
      local n = tonumber(t:get "n")
      if attempts < 3 then rival:incrby("n", 10) end -- I/O on another connection in between
      t:multi()
      t:set("n", n * 2)
    end)
    assert.same({ true }, replies)
    assert.equal(3, attempts)
    assert.equal("42", client:get "n")
    client:quit()
    rival:quit()
  end)

  it("increments safely from ten tasks by transactions that retry", function()
    local client = connect()
    client:set("n", 0)
    peers.together(10, function()
      local own = connect()
      own:transaction({ watch = "n", cas = true, retry = 1000 }, function(t)
        local n = tonumber(t:get "n")
        t:multi()
        t:set("n", n + 1)
      end)
      own:quit()
    end)
    assert.equal("10", client:get "n")
    client:quit()
  end)

  it("blocks ten clients at the server while a ticker beats", function()
    local ticker <close> = peers.ticker()
    local client = connect()
    local blocked = task.spawn(peers.together, 10, function(i)
      local own = connect()
      local reply = own:blpop("queue" .. i, 0)
      own:quit()
      return reply[2]
    end)
    repeat
      local now = tonumber(client:info().clients.blocked_clients)
    until now == 10
    ticker:await(10)
    for i = 1, 10 do client:rpush("queue" .. i, "item " .. i) end
    local items = blocked:join()
    for i = 1, 10 do assert.equal("item " .. i, items[i]) end
    client:quit()
  end)

  it("publishes to ten subscribers, each a generator in a task of its own", function()
    local client = connect()
    local listening = task.spawn(peers.together, 10, function()
      local own, heard = connect(), {}
      for message, abort in own:pubsub { subscribe = "news", psubscribe = "fl*" } do
        if message.kind == "message" or message.kind == "pmessage" then
          heard[#heard + 1] = message.channel .. "=" .. message.payload
        end
        if #heard == 2 then abort() end
      end
      own:quit()
      return table.concat(heard, " ")
    end)
    repeat
      local there = client:publish("probe", "") + #client:raw_cmd "PUBSUB CHANNELS news\r\n"
      local subscribed = client:raw_cmd "PUBSUB NUMSUB news\r\n"[2]
      local patterns = client:raw_cmd "PUBSUB NUMPAT\r\n"
    until there == 1 and subscribed == 10 and patterns == 1
    assert.equal(10, client:publish("news", "one"))
    assert.equal(10, client:publish("flash", "two"))
    for _, heard in ipairs(listening:join()) do assert.equal("news=one flash=two", heard) end
    client:quit()
  end)

  it("monitors what another client does", function()
    local watcher, client = connect(), connect()
    local seen = task.spawn(function()
      local commands = {}
      for message, abort in watcher:monitor_messages() do
        commands[#commands + 1] = message.command:upper()
        if message.command:upper() == "GET" then abort() end
      end
      return commands
    end)
    repeat until client:raw_cmd "CLIENT LIST\r\n":find "cmd=monitor"
    client:set("a", 1)
    client:get "a"
    local commands = seen:join()
    assert.same({ "SET", "GET" }, { commands[#commands - 1], commands[#commands] })
    watcher.network.socket:close()
    client:quit()
  end)

  it("in a task that is cancelled stops, inside a generator too", function()
    local client = connect()
    local listening = task.spawn(function()
      local own = connect()
      local guard <close> = setmetatable({}, { __close = function()
        own.network.socket:close()
      end })
      assert.is_table(guard)
      for message in own:pubsub { subscribe = "silence" } do assert.is_table(message) end
    end)
    repeat until client:raw_cmd "PUBSUB NUMSUB silence\r\n"[2] == 1
    listening:cancel()
    assert.same({ nil, "cancelled" }, { listening:join() })
    repeat until client:raw_cmd "PUBSUB NUMSUB silence\r\n"[2] == 0
    client:quit()
  end)
end)

describe("lua-redis and a server that", function()
  local function ping(handler, options)
    local port, closer <close> = net.server(handler)
    assert.is_table(closer)
    local parameters = { host = "127.0.0.1", port = port }
    for name, value in pairs(options or {}) do parameters[name] = value end
    local client = redis.connect(parameters)
    local ok, message = pcall(client.ping, client)
    client.network.socket:close()
    assert.is_false(ok)
    return message
  end

  it("is not there: raises connection refused", function()
    local port = peers.free_port()
    assert.error_matches(function() redis.connect("127.0.0.1", port) end, "connection refused")
  end)

  it("closes before it answers: raises closed", function()
    assert.matches("closed", ping(function(conn) conn:receive() end))
  end)

  it("closes in the middle of a reply: raises closed", function()
    assert.matches("closed", ping(function(conn)
      conn:receive()
      conn:send "$100\r\nhalf"
    end))
  end)

  it("answers garbage: raises its own error", function()
    assert.matches("unknown response prefix", ping(function(conn)
      conn:receive()
      conn:send "garbage\r\n"
      conn:receive "a"
    end))
  end)

  it("never answers: raises timeout", function()
    assert.matches("timeout", ping(function(conn) conn:receive "a" end, { timeout = 0.05 }))
  end)

  it("trickles beyond the timeout: raises timeout, and nobody else waits", function()
    local ticker <close> = peers.ticker()
    assert.matches("timeout", ping(function(conn)
      repeat
        ticker:await(1)
      until not conn:send "+" or ticker.beats > 10000
    end, { timeout = 0.05 }))
    assert.is_true(ticker.beats > 0)
  end)
end)
