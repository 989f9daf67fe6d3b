-- SPDX-License-Identifier: MIT

local lariat = require "lariat"
local example = require "spec.support.example"
local net = require "spec.support.net"

local LOOPBACK = "127.0.0.1"

describe("netcat", function()
  it("sends its input to sort, and passes the end on, and prints the answer", function()
    -- sort answers only when its input has ended: that is half-close.
    local port, server <close> = net.server(function(conn)
      local child <close> = assert(lariat.run { "sort", stdin = conn, stdout = conn })
      child:wait()
    end)
    local output, how, status = example.run_with_input("b\nc\na\n", "netcat", LOOPBACK, port)
    assert.equal("a\nb\nc\n", output)
    assert.same({ "exit", 0 }, { how, status })
    assert(server)
  end)

  it("converses: input and output at the same time", function()
    local port, server <close> = net.server(function(conn)
      local child <close> = assert(lariat.run { "cat", stdin = conn, stdout = conn })
      child:wait()
    end)
    local netcat <close> = example.talk_to("netcat", LOOPBACK, port)
    for _, text in ipairs { "one\n", "two\n" } do
      netcat.stdin:send(text)
      assert.equal(text, netcat.stdout:receive "*L")
    end
    netcat.stdin:close()
    assert.same({ "exit", 0 }, { netcat:wait() })
    assert(server)
  end)

  it("listens for ncat, both ways", function()
    local netcat <close> = example.start("netcat", "-l", LOOPBACK, 0)
    local sent = ("0123456789abcde\n"):rep(65536)
    netcat.child.stdin:send "from lariat\n"
    netcat.child.stdin:close()
    local output
    local ncat <close> = assert(lariat.run { "ncat", LOOPBACK, netcat.port, input = sent })
    local received = netcat.child.stdout:receive "*a"
    output = ncat.stdout:receive "*a"
    assert.equal("from lariat\n", output)
    assert.is_true(received == sent)
    assert.same({ "exit", 0 }, { netcat.child:wait() })
    netcat.stop = function() end
  end)

  it("connects over UDP to socat, and listens for it", function()
    local netcat <close> = example.start("netcat", "-l", "-u", LOOPBACK, 0)
    local peer <close> = example.talk { "socat", "-", "UDP:127.0.0.1:" .. netcat.port }
    peer.stdin:send "question\n"
    assert.equal("question", netcat.child.stdout:receive())
    netcat.child.stdin:send "answer\n"
    assert.equal("answer", peer.stdout:receive())

    local server <close> = example.start("udp_echo_server", LOOPBACK, 0)
    local client <close> = example.talk_to("netcat", "-u", LOOPBACK, server.port)
    client.stdin:send "to the server\n"
    assert.equal("to the server", client.stdout:receive())
  end)

  it("gives up a silent UDP peer after -w seconds", function()
    local output, how, status = example.run("netcat", "-luw", 0.01, LOOPBACK, 0)
    assert.is_nil(output:match "%S")
    assert.same({ "exit", 1 }, { how, status })
  end)

  it("fails where nobody listens, and refuses bad arguments", function()
    local gone = example.start("tcp_echo_server", LOOPBACK, 0)
    gone:stop()
    local _, how, status = example.run("netcat", LOOPBACK, gone.port)
    assert.same({ "exit", 1 }, { how, status })
    assert.is_true(example.refuses("netcat"))
    assert.is_true(example.refuses("netcat", "-x", LOOPBACK, 1))
    assert.is_true(example.refuses("netcat", LOOPBACK, 0))
    assert.is_true(example.refuses("netcat", "-w", "soon", LOOPBACK, 1))
  end)
end)

describe("the port forwarder", function()
  -- nginx on a free port of its own choice does not exist: try ports until one is free.
  local function start_nginx(directory)
    local config = [[
      daemon off; master_process off; error_log stderr notice; pid nginx.pid;
      events {}
      http { access_log off; client_body_temp_path .; proxy_temp_path .; fastcgi_temp_path .;
        uwsgi_temp_path .; scgi_temp_path .;
        server { listen 127.0.0.1:%d; root %s/www; } }]]
    for _ = 1, 10 do
      local port, closer = net.server(function() end)
      closer()
      example.write(directory .. "/nginx.conf", config:format(port, directory))
      local child = assert(lariat.run {
        "nginx", "-p", directory, "-c", directory .. "/nginx.conf", stderr = "pipe",
        env = { PATH = (os.getenv "PATH" or "") .. ":/usr/sbin" },
      })
      -- It says what it listens with after it has bound its port.
      if pcall(example.await, child.stderr, "using the") then return port, child end
      child:close()
    end
    error "nginx does not start"
  end

  it("lets curl reach nginx", function()
    local directory, remove <close> = example.directory()
    example.peer { "mkdir", directory .. "/www" }
    local text = ("0123456789abcde\n"):rep(65536)
    example.write(directory .. "/www/big", text)
    local port, nginx <close> = start_nginx(directory)
    local forwarder <close> = example.start("port_forwarder", LOOPBACK, 0, LOOPBACK, port)
    local url = ("http://127.0.0.1:%d/"):format(forwarder.port)
    local output, _, status = example.peer {
      "curl", "-s", url .. "big", url .. "big", "-w", "%{http_code}",
    }
    assert.equal(0, status)
    assert.is_true(output == text .. "200" .. text .. "200")
    assert(remove and nginx)
  end)

  it("passes on half-closes and serves many at once", function()
    local echo <close> = example.start("tcp_echo_server", LOOPBACK, 0)
    local forwarder <close> = example.start("port_forwarder", LOOPBACK, 0, LOOPBACK, echo.port)
    local idle <close> = example.talk { "ncat", LOOPBACK, forwarder.port }
    idle.stdin:send "first\n"
    assert.equal("first", idle.stdout:receive())
    local output = example.peer {
      "socat", "-t", 10, "-", "TCP:127.0.0.1:" .. forwarder.port, input = "through and back",
    }
    assert.equal("through and back", output)
    idle.stdin:send "still here\n"
    assert.equal("still here", idle.stdout:receive())
  end)

  it("closes the connection when the target cannot be reached", function()
    local gone = example.start("tcp_echo_server", LOOPBACK, 0)
    gone:stop()
    local forwarder <close> = example.start("port_forwarder", LOOPBACK, 0, LOOPBACK, gone.port)
    local output = example.peer { "socat", "-", "TCP:127.0.0.1:" .. forwarder.port }
    assert.equal("", output)
    example.await(forwarder.child.stderr, "target: connection refused")
  end)

  it("refuses bad arguments", function()
    assert.is_true(example.refuses("port_forwarder", LOOPBACK, 0, LOOPBACK))
    assert.is_true(example.refuses("port_forwarder", LOOPBACK, 0, LOOPBACK, 0))
  end)
end)

describe("the demo", function()
  it("shows a server and its clients, and ends", function()
    local output, how, status = example.run("demo")
    assert.same({ "exit", 0 }, { how, status })
    for _, said in ipairs { "HELLO!", "COUNT!", "IS ANYBODY", "HELLO OVER UDP!", "the end" } do
      assert.is_truthy(output:find(said, 1, true), said)
    end
  end)
end)
