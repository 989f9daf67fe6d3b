-- SPDX-License-Identifier: MIT
--
-- LuaSocket's own socket.http, socket.url, ltn12 and mime, as Debian ships them, against nginx and
-- against servers that misbehave.

local http = require "socket.http"
local ltn12 = require "ltn12"
local mime = require "mime"
local net = require "spec.support.net"
local peers = require "spec.support.peers"
local socket = require "socket"
local task = require "lariat.task"
local url = require "socket.url"

local CONF = [[
daemon off; master_process off; pid DIR/pid; error_log DIR/error.log;
events { worker_connections 256; }
http {
  access_log off; default_type text/plain;
  client_body_temp_path DIR/body; proxy_temp_path DIR/proxy; fastcgi_temp_path DIR/fastcgi;
  uwsgi_temp_path DIR/uwsgi; scgi_temp_path DIR/scgi;
  server {
    listen 127.0.0.1:PORT; root DIR;
    location /moved { return 302 /hello.txt; }
    location /far { return 302 http://127.0.0.1:PORT/moved; }
    location /loop { return 302 /loop; }
    location /script/ {
      proxy_pass http://127.0.0.1:BACKEND/; proxy_buffering off; proxy_request_buffering off;
    }
  }
}
]]

-- The script behind nginx: one function a path, called with the connection and the request's head.
local script = {}

local function backend(conn)
  local path = conn:receive():match "^%u+ /(%w+)"
  local head = {}
  for line in conn:lines() do
    if line == "" then break end
    local name, value = line:match "^(.-):%s*(.*)$"
    head[name:lower()] = value
  end
  script[path](conn, head)
end

function script.echo(conn, head)
  local body = conn:receive(tonumber(head["content-length"]))
  conn:send { "HTTP/1.0 200 OK\r\nContent-Length: ", #body, "\r\n\r\n", body }
end

local function with_timeout(seconds)
  local before = http.TIMEOUT
  http.TIMEOUT = seconds
  finally(function() http.TIMEOUT = before end)
end

describe("socket.http against nginx", function()
  local dir, nginx, backend_closer, root

  setup(function()
    local backend_port
    dir = peers.directory()
    local port = peers.free_port()
    backend_port, backend_closer = net.server(backend)
    local values = { DIR = dir.path, PORT = port, BACKEND = backend_port }
    dir:write("hello.txt", "hello, world\n")
    dir:write("big.txt", ("0123456789abcdef"):rep(1 << 16))
    local conf = dir:write("nginx.conf", (CONF:gsub("%u%u%u+", values)))
    nginx = peers.start({ "nginx", "-p", dir.path, "-e", dir.path .. "/error.log", "-c", conf },
      port)
    root = "http://127.0.0.1:" .. port
  end)

  teardown(function()
    nginx:close()
    backend_closer()
    dir:close()
  end)

  it("gets a page", function()
    local body, code, headers, status = http.request(root .. "/hello.txt")
    assert.same({ "hello, world\n", 200, "HTTP/1.1 200 OK" }, { body, code, status })
    assert.equal("13", headers["content-length"])
    assert.equal("close", headers.connection)
  end)

  it("gets a megabyte", function()
    local body, code = http.request(root .. "/big.txt")
    assert.equal(200, code)
    assert.is_true(body == ("0123456789abcdef"):rep(1 << 16))
  end)

  it("gets no page for a name that is not there", function()
    assert.equal(404, (select(2, http.request(root .. "/none.txt"))))
  end)

  it("follows redirects, relative and absolute, and ends a loop of them", function()
    local body, code = http.request(root .. "/far")
    assert.same({ "hello, world\n", 200 }, { body, code })
    assert.equal(302, (select(2, http.request { url = root .. "/moved", redirect = false })))
    assert.equal(302, (select(2, http.request { url = root .. "/loop", maxredirects = 5 })))
  end)

  it("reads a chunked reply, piece after piece, while a ticker beats", function()
    local ticker <close> = peers.ticker()
    function script.trickle(conn)
      conn:send "HTTP/1.0 200 OK\r\n\r\n"
      for i = 1, 20 do
        conn:send("piece " .. i .. "\n")
        conn:flush()
        ticker:await(1)
      end
    end
    local pieces = {}
    local ok, code, headers = http.request {
      url = root .. "/script/trickle", sink = ltn12.sink.table(pieces),
    }
    assert.same({ 1, 200, "chunked" }, { ok, code, headers["transfer-encoding"] })
    local text = table.concat(pieces)
    assert.equal("piece 1\n", text:match "^.-\n")
    assert.equal(20, select(2, text:gsub("\n", "")))
    assert.is_true(ticker.beats >= 20)
  end)

  it("posts a form", function()
    local body, code = http.request(root .. "/script/echo", "a=1&b=2")
    assert.same({ "a=1&b=2", 200 }, { body, code })
  end)

  it("sends from a chain of sources and filters, receives through one", function()
    local data = ("binary\0\1\2\3"):rep(5000)
    local encoded = mime.b64(data)
    local received = {}
    local decode = ltn12.filter.chain(mime.decode "base64")
    local _, code = http.request {
      method = "PUT", url = root .. "/script/echo",
      headers = { ["content-length"] = #encoded },
      source = ltn12.source.chain(ltn12.source.string(data), mime.encode "base64"),
      sink = ltn12.sink.chain(decode, (ltn12.sink.table(received))),
    }
    assert.equal(200, code)
    assert.is_true(table.concat(received) == data)
  end)

  it("lets a sink and a source do I/O of their own", function()
    local a, b = net.pair()
    local drained = task.spawn(function() return b:receive "a" end)
    local feed, far = net.pair()
    far:send "from a socket"
    far:close()
    local _, code = http.request {
      method = "POST", url = root .. "/script/echo", headers = { ["content-length"] = 13 },
      source = socket.source("until-closed", feed), sink = socket.sink("close-when-done", a),
    }
    assert.equal(200, code)
    assert.equal("from a socket", drained:join())
    b:close()
  end)

  it("takes ten requests at once while a ticker beats", function()
    local ticker <close> = peers.ticker()
    local crowd = peers.crowd(10, ticker)
    function script.hold(conn)
      crowd:enter()
      conn:send "HTTP/1.0 200 OK\r\n\r\nheld"
    end
    local bodies = peers.together(10, function() return (http.request(root .. "/script/hold")) end)
    assert.equal(10, crowd.most)
    assert.equal(("held "):rep(10), table.concat(bodies, " ") .. " ")
  end)

  it("goes on after a request that was cancelled in the middle", function()
    local ticker <close> = peers.ticker()
    local crowd = peers.crowd(2, ticker)
    script.hold = function() crowd:enter() end
    local request = task.spawn(http.request, root .. "/script/hold")
    while crowd.inside == 0 do task.sleep(0.001) end
    request:cancel()
    assert.same({ nil, "cancelled" }, { request:join() })
    assert.equal("hello, world\n", (http.request(root .. "/hello.txt")))
    crowd:enter()
  end)
end)

describe("socket.http against a server that", function()
  local function request_to(handler)
    local port, closer <close> = net.server(function(conn)
      while (conn:receive() or "") ~= "" do end
      handler(conn)
    end)
    assert.is_table(closer)
    return http.request("http://127.0.0.1:" .. port)
  end

  it("is not there: says connection refused", function()
    local port = peers.free_port()
    assert.same({ nil, "connection refused" }, { http.request("http://127.0.0.1:" .. port) })
  end)

  it("never answers: times out", function()
    with_timeout(0.05)
    local body, message = request_to(function(conn) conn:receive() end)
    assert.same({ nil, "timeout" }, { body, message })
  end)

  it("closes before it answers: says closed", function()
    assert.same({ nil, "closed" }, { request_to(function() end) })
  end)

  it("closes in the middle of the body: says closed", function()
    assert.same({ nil, "closed" }, { request_to(function(conn)
      conn:send "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this"
    end) })
  end)

  it("closes in the middle of a chunk: says closed", function()
    assert.same({ nil, "closed" }, { request_to(function(conn)
      conn:send "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nonly this"
    end) })
  end)

  it("sends a chunk of no size: says invalid chunk size", function()
    assert.same({ nil, "invalid chunk size" }, { request_to(function(conn)
      conn:send "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"
    end) })
  end)

  it("sends headers that are none: says malformed reponse headers", function()
    assert.same({ nil, "malformed reponse headers" }, { request_to(function(conn)
      conn:send "HTTP/1.1 200 OK\r\nno colon here\r\n\r\n"
    end) })
  end)

  it("trickles: times out in the middle of the body, and nobody else waits", function()
    with_timeout(0.05)
    local ticker <close> = peers.ticker()
    local body, message = request_to(function(conn)
      conn:send "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nx"
      conn:receive()
    end)
    assert.same({ nil, "timeout" }, { body, message })
    assert.is_true(ticker.beats > 0)
  end)
end)

describe("socket.url, mime and ltn12", function()
  it("are the ones that LuaSocket ships", function()
    local parsed = url.parse "http://user@host:80/a/b?q#f"
    assert.same({ "user", "host", "80", "/a/b" },
      { parsed.user, parsed.host, parsed.port, parsed.path })
    assert.equal("http://host/a/c", url.absolute("http://host/a/b", "c"))
    assert.equal("a=C3=A9", (mime.qp "a\xc3\xa9"))
  end)

  it("pump from one socket to another", function()
    local from, feeder = net.pair()
    local to, reader = net.pair()
    local data = ("x"):rep(300000)
    local fed = task.spawn(function() feeder:send(data) feeder:close() end)
    local read = task.spawn(function() return reader:receive "a" end)
    local ok = ltn12.pump.all(socket.source("until-closed", from),
      socket.sink("close-when-done", to))
    assert.equal(1, ok)
    fed:join()
    assert.is_true(read:join() == data)
    reader:close()
  end)
end)
