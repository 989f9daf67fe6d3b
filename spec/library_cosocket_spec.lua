-- SPDX-License-Identifier: MIT
--
-- Debian's lua-nginx-redis and lua-nginx-memcached, unmodified: libraries written for nginx's
-- cosockets, on the module `ngx`, against a redis-server and a memcached.

local net = require "spec.support.net"
local ngx = require "ngx"
local peers = require "spec.support.peers"
local task = require "lariat.task"

-- They expect the globals of nginx and of Lua 5.1 while they load.
_G.ngx, _G.unpack = ngx, table.unpack
local resty_redis = peers.require "nginx.redis"
local resty_memcached = peers.require "nginx.memcached"
_G.ngx, _G.unpack = nil, nil

describe("lua-nginx-redis", function()
  local dir, server

  local function connect()
    local client = assert(resty_redis:new())
    client:set_timeout(5000)
    assert(client:connect("127.0.0.1", server.port))
    return client
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

  it("sets and gets, and knows null from an error", function()
    local client = connect()
    assert.equal("OK", client:set("k", "v\r\nbinary\0"))
    assert.equal("v\r\nbinary\0", client:get "k")
    assert.equal(ngx.null, client:get "none")
    assert.same({ false, "ERR value is not an integer or out of range" }, { client:incr "k" })
    assert.equal("OK", client:hmset("h", { a = 1, b = 2 }))
    assert.same({ a = "1", b = "2" }, client:array_to_hash(client:hgetall "h"))
    assert.equal(1, client:close())
    assert.same({ nil, "closed" }, { client:get "k" })
  end)

  it("pipelines", function()
    local client = connect()
    client:del "n"
    client:init_pipeline()
    for _ = 1, 100 do client:incr "n" end
    local replies = client:commit_pipeline()
    assert.equal(100, replies[100])
    client:close()
  end)

  it("subscribes, and a publisher in another task reaches it", function()
    local client, publisher = connect(), connect()
    assert.same({ "subscribe", "news", 1 }, client:subscribe "news")
    local heard = task.spawn(function() return client:read_reply() end)
    assert.equal(1, publisher:publish("news", "hello"))
    assert.same({ "message", "news", "hello" }, heard:join())
    client:close()
    publisher:close()
  end)

  it("connects to a unix socket", function()
    local client = assert(resty_redis:new())
    assert(client:connect("unix:" .. dir.path .. "/sock"))
    assert.equal("PONG", client:ping())
    client:close()
  end)

  it("keeps a connection alive for the next, which says so", function()
    local client = connect()
    assert.equal(0, client:get_reused_times())
    local id = client:client "id"
    assert.equal(1, client:set_keepalive(10000, 1))
    assert.same({ nil, "closed" }, { client:get "k" })
    local again = connect()
    assert.equal(1, again:get_reused_times())
    assert.equal(id, again:client "id")
    again:close()
  end)

  it("does not reuse a connection that the server has closed meanwhile", function()
    local client, admin = connect(), connect()
    local id = client:client "id"
    assert.equal(1, client:set_keepalive(10000, 1))
    assert.equal(1, admin:client("kill", "id", id))
    assert.equal("PONG", admin:ping())
    local again = connect()
    assert.equal(0, again:get_reused_times())
    again:close()
    admin:close()
  end)

  it("blocks ten clients at the server while a ticker beats", function()
    local ticker <close> = peers.ticker()
    local admin = connect()
    local blocked = task.spawn(peers.together, 10, function(i)
      local client = connect()
      local reply = client:blpop("queue" .. i, 0)
      client:close()
      return reply[2]
    end)
    repeat until admin:info "clients":find "blocked_clients:10\r"
    ticker:await(10)
    for i = 1, 10 do admin:rpush("queue" .. i, i) end
    assert.equal("1 2 3 4 5 6 7 8 9 10", table.concat(blocked:join(), " "))
    admin:close()
  end)

  it("times out in milliseconds at a server that never answers, and closes", function()
    local port, closer <close> = net.server(function(conn) conn:receive "a" end)
    assert.is_table(closer)
    local client = assert(resty_redis:new())
    client:set_timeout(50)
    assert(client:connect("127.0.0.1", port))
    assert.same({ nil, "timeout" }, { client:get "k" })
    assert.same({ nil, "closed" }, { client:get "k" })
  end)

  it("says what it says of garbage, of a closed reply, and of nobody there", function()
    local port, closer <close> = net.server(function(conn)
      if conn:receive() == "*2" then conn:send "garbage\r\n" else conn:send "$100\r\nhalf" end
    end)
    assert.is_table(closer)
    local client = assert(resty_redis:new())
    assert(client:connect("127.0.0.1", port))
    assert.same({ nil, 'unknown prefix: "103"' }, { client:get "k" })
    assert(client:connect("127.0.0.1", port))
    assert.same({ nil, "closed" }, { client:ping() })
    assert.same({ nil, "connection refused" },
      { client:connect("127.0.0.1", peers.free_port()) })
  end)
end)

describe("lua-nginx-memcached", function()
  local server

  local function connect()
    local client = assert(resty_memcached:new())
    client:set_timeout(5000)
    assert(client:connect("127.0.0.1", server.port))
    return client
  end

  setup(function()
    local port = peers.free_port()
    server = peers.start({ "memcached", "-u", "root", "-l", "127.0.0.1", "-p", port, "-U", 0 },
      port)
  end)

  teardown(function() server:close() end)

  it("sets, gets, counts and deletes, keys escaped", function()
    local client = connect()
    assert.equal(1, client:set("a key / 100%", "value\r\nEND\r\n", 0, 7))
    assert.same({ "value\r\nEND\r\n", "7" }, { client:get "a key / 100%" })
    assert.is_nil((client:get "none"))
    client:set("n", 1)
    assert.equal("42", client:incr("n", 41))
    assert.equal(1, client:delete "n")
    assert.same({ nil, "NOT_FOUND" }, { client:delete "n" })
    client:close()
  end)

  it("gets many at once, and checks and sets", function()
    local client = connect()
    client:set("x", "one")
    client:set("y", "two")
    local found = client:get { "x", "y", "none" }
    assert.same({ "one", "two" }, { found.x[1], found.y[1] })
    local _, _, unique = client:gets "x"
    assert.equal(1, client:cas("x", "three", unique))
    assert.same({ nil, "EXISTS" }, { client:cas("x", "four", unique) })
    client:close()
  end)

  it("moves a value of nearly a megabyte", function()
    local client = connect()
    local value = ("0123456789abcdef"):rep(60000)
    assert.equal(1, client:set("big", value))
    assert.is_true(client:get "big" == value)
    client:close()
  end)

  it("waits with ten requests at once while a ticker beats", function()
    local ticker <close> = peers.ticker()
    local crowd = peers.crowd(10, ticker)
    local port, closer <close> = peers.held(server.port, crowd)
    assert.is_table(closer)
    local first = connect()
    first:set("shared", "for all")
    local values = peers.together(10, function()
      local client = assert(resty_memcached:new())
      assert(client:connect("127.0.0.1", port))
      local value = client:get "shared"
      client:close()
      return value
    end)
    assert.equal(10, crowd.most)
    for i = 1, 10 do assert.equal("for all", values[i]) end
    first:close()
  end)
end)
