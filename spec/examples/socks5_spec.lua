-- SPDX-License-Identifier: MIT

local example = require "spec.support.example"
local net = require "spec.support.net"
local peers = require "spec.support.peers"
local socket = require "socket"
local socks = require "examples.wire.socks5"

local LOOPBACK = "127.0.0.1"

describe("the SOCKS 5 proxy", function()
  local proxy
  before_each(function() proxy = example.start("socks5_proxy", LOOPBACK, 0) end)
  after_each(function() proxy:stop() end)

  local function curl(how, url)
    return example.peer { "curl", "-s", "-m", 20, how, LOOPBACK .. ":" .. proxy.port, url }
  end

  local function dial()
    local conn = assert(socket.connect(LOOPBACK, proxy.port))
    conn:settimeout(20)
    return conn
  end

  it("connects curl by name and by address", function()
    local web <close> = example.start("http_server", "examples", LOOPBACK, 0)
    local expected = example.read "examples/socks5_proxy.lua"
    local path = (":%d/socks5_proxy.lua"):format(web.port)
    assert.equal(expected, (curl("--socks5-hostname", "http://localhost" .. path)))
    assert.equal(expected, (curl("--socks5", "http://127.0.0.1" .. path)))
  end)

  it("says why a connection fails", function()
    local conn <close> = dial()
    socks.greeting:write(conn, { methods = { "gssapi", "none" } })
    assert.equal("none", socks.choice:read(conn).method)
    socks.request:write(conn, { command = "connect", kind = "ipv4", host = LOOPBACK,
      port = peers.free_port() })
    assert.equal("refused", socks.reply:read(conn).status)
    assert.equal(97, select(3, curl("--socks5-hostname", "http://no-such-host.invalid/")))
  end)

  it("passes on what is sent at once behind the request, and the end", function()
    local port, stop <close> = net.server(function(conn) conn:send(conn:receive "*a") end)
    local conn <close> = dial()
    local request = { command = "connect", kind = "name", host = "localhost", port = port }
    conn:send(socks.greeting:encode { methods = { "none" } } .. socks.request:encode(request) ..
      "hello")
    conn:shutdown "send"
    assert.equal("none", socks.choice:read(conn).method)
    local reply = socks.reply:read(conn)
    assert.same({ "ok", "ipv4", LOOPBACK }, { reply.status, reply.kind, reply.host })
    assert.equal("hello", conn:receive "*a")
    assert(stop)
  end)

  it("refuses what it does not do", function()
    local function answer(bytes, message)
      local conn <close> = dial()
      conn:send(bytes)
      return message:read(conn)
    end
    assert.equal("refused", answer("\5\1\2", socks.choice).method)
    assert.is_nil((answer("\4\1\0\80", socks.choice))) -- SOCKS 4
    local function status(bytes)
      local conn <close> = dial()
      conn:send("\5\1\0" .. bytes)
      socks.choice:read(conn)
      local reply = socks.reply:read(conn)
      return reply and reply.status
    end
    assert.equal("no_such_command", status "\5\2\0\1\127\0\0\1\0\80")
    assert.equal("no_such_kind", status "\5\1\0\9\127\0\0\1\0\80")
  end)
end)

it("the SOCKS 5 proxy refuses bad arguments", function()
  assert.is_true(example.refuses("socks5_proxy", LOOPBACK, "socks"))
end)
