-- SPDX-License-Identifier: MIT
--
-- LuaSec's ssl.https, as Debian ships it, against nginx with a certificate that it signed itself.

local https = require "ssl.https"
local net = require "spec.support.net"
local peers = require "spec.support.peers"

local CONF = [[
daemon off; master_process off; pid DIR/pid; error_log DIR/error.log;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path DIR/body; proxy_temp_path DIR/proxy; fastcgi_temp_path DIR/fastcgi;
  uwsgi_temp_path DIR/uwsgi; scgi_temp_path DIR/scgi;
  server {
    listen 127.0.0.1:PORT ssl; root DIR;
    ssl_certificate DIR/certificate.pem; ssl_certificate_key DIR/key.pem;
    location /script { proxy_pass http://127.0.0.1:BACKEND/; proxy_buffering off; }
  }
}
]]

describe("ssl.https against nginx", function()
  local dir, certificate, nginx, backend, root
  local script -- what answers for nginx

  setup(function()
    local backend_port
    local port = peers.free_port()
    dir = peers.directory()
    certificate = select(2, peers.certificate(dir))
    backend_port, backend = net.server(function(conn)
      while (conn:receive() or "") ~= "" do end
      conn:send "HTTP/1.0 200 OK\r\n\r\n"
      script(conn)
    end)
    dir:write("hello.txt", "hello, world\n")
    dir:write("big.txt", ("0123456789abcdef"):rep(1 << 17))
    local values = { DIR = dir.path, PORT = port, BACKEND = backend_port }
    local conf = dir:write("nginx.conf", (CONF:gsub("%u%u%u+", values)))
    nginx = peers.start({ "nginx", "-p", dir.path, "-e", dir.path .. "/error.log", "-c", conf },
      port)
    root = "https://127.0.0.1:" .. port
  end)

  teardown(function()
    nginx:close()
    backend()
    dir:close()
  end)

  it("gets a page", function()
    local body, code = https.request(root .. "/hello.txt")
    assert.same({ "hello, world\n", 200 }, { body, code })
  end)

  it("gets two megabytes", function()
    local body, code = https.request(root .. "/big.txt")
    assert.equal(200, code)
    assert.is_true(body == ("0123456789abcdef"):rep(1 << 17))
  end)

  it("refuses a certificate that nobody vouches for, if asked to verify", function()
    local ok, message = https.request { url = root .. "/hello.txt", verify = "peer" }
    assert.same({ nil, "certificate verify failed" }, { ok, message })
    local _, code = https.request { url = root .. "/hello.txt", verify = "peer",
      cafile = certificate }
    assert.equal(200, code)
  end)

  it("takes ten requests at once while a ticker beats", function()
    local ticker <close> = peers.ticker()
    local crowd = peers.crowd(10, ticker)
    script = function(conn) crowd:enter() conn:send "held" end
    local bodies = peers.together(10, function() return (https.request(root .. "/script")) end)
    assert.equal(10, crowd.most)
    assert.equal(("held "):rep(10), table.concat(bodies, " ") .. " ")
  end)

  it("shakes ten hands at once while a ticker beats", function()
    local ticker <close> = peers.ticker()
    local crowd = peers.crowd(10, ticker)
    local port, closer <close> = peers.held(nginx.port, crowd)
    assert.is_table(closer)
    local codes = peers.together(10, function()
      return (select(2, https.request(("https://127.0.0.1:%d/hello.txt"):format(port))))
    end)
    assert.equal(10, crowd.most)
    for i = 1, 10 do assert.equal(200, codes[i]) end
  end)

  it("reads a body piece by piece while a ticker beats", function()
    local ticker <close> = peers.ticker()
    script = function(conn)
      for i = 1, 20 do
        conn:send("piece " .. i .. "\n")
        conn:flush()
        ticker:await(1)
      end
    end
    local body = https.request(root .. "/script")
    assert.equal(20, select(2, body:gsub("piece", "")))
    assert.is_true(ticker.beats >= 20)
  end)
end)
