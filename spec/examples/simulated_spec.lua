-- SPDX-License-Identifier: MIT
--
-- The examples, as they are, on simulated networks: with loss, partitions and all the rest they do
-- what they do over loopback.

local http = require "socket.http"
local example = require "spec.support.example"
local sim = require "lariat.sim"
local socket = require "socket"

local OPTIONS = { seeds = 20, swarm = true, echo = false }
local PATIENCE = 60 -- virtual seconds

-- Runs an example as a host that the run waits for, and returns what it has printed.
local function output_of(net, settings, name, ...)
  if type(settings) == "string" then settings = { name = settings } end
  local client = net:client(settings, "examples/" .. name .. ".lua", ...)
  client:wait()
  return client:output()
end

local function dial(port)
  local conn = assert(socket.connect("server", port))
  conn:settimeout(PATIENCE)
  return conn
end

describe("on a simulated network", function()
  sim.it("the TCP echo server answers its client", OPTIONS, function(net)
    net:host("server", "examples/tcp_echo_server.lua", "*", 7000)
    local output = output_of(net, { name = "client", stdin = "one\ntwo\n" }, "tcp_echo_client",
      "server", 7000)
    assert(output == "one\ntwo\n", output)
  end)

  sim.it("the UDP echo server answers its client", OPTIONS, function(net)
    net:host("server", "examples/udp_echo_server.lua", "*", 7000)
    local output = output_of(net, "client", "udp_echo_client", "server", 7000, "one", "two")
    assert(output == "one\ntwo\n", output)
  end)

  sim.it("a port forwarder is not noticed", OPTIONS, function(net)
    net:host("server", "examples/tcp_echo_server.lua", "*", 7000)
    net:host("forwarder", "examples/port_forwarder.lua", "*", 7001, "server", 7000)
    local output = output_of(net, "client", "tcp_echo_client", "forwarder", 7001, "one", "two")
    assert(output == "one\ntwo\n", output)
  end)

  sim.it("two chat, and see each other come and go", OPTIONS, function(net)
    net:host("server", "examples/chat_server.lua", "*", 7002)
    local function enter(nick)
      local conn <close> = dial(7002)
      assert(conn:receive() == "Your nickname?")
      assert(conn:send(nick .. "\n"))
      assert(conn:receive() == "* welcome, " .. nick)
      assert(conn:send "/who\nhello\n/quit\n")
      local said = {}
      for line in conn:lines() do said[#said + 1] = line end
      assert(table.concat(said, "\n"):find("* here:.*" .. nick))
    end
    net:client("ann", enter, "ann")
    net:client("bob", enter, "bob")
  end)

  sim.it("socket.http fetches a file from the HTTP server", OPTIONS, function(net)
    net:host("server", "examples/http_server.lua", ".", "*", 8080)
    net:client("client", function()
      local body, status = http.request "http://server:8080/README.md"
      assert(status == 200, status)
      assert(body == example.read "README.md")
    end)
  end)

  sim.it("the health checker tells the well from the others", OPTIONS, function(net)
    net:host("server", "examples/tcp_echo_server.lua", "*", 7000)
    net:host("crashed", "examples/tcp_echo_server.lua", "*", 7000):crash()
    local output = output_of(net, { name = "checker", stdin = "server:7001\n", status = 1 },
      "health_checker", "-t", 30, "server:7000", "nobody:7000", "crashed:7000", "-")
    assert(output:find "ok +[%d.]+ s  server:7000\n", output)
    assert(output:find "failed +[%d.]+ s  server:7001  connection refused\n", output)
    assert(output:find "failed +[%d.]+ s  nobody:7000  host not found", output)
    assert(output:find "failed +30.000 s  crashed:7000  timeout\n", output)
    assert(output:find "4 targets, 3 not well\n$", output)
  end)

  sim.it("the DNS server answers over TCP, and over UDP who asks again", OPTIONS, function(net)
    net:host("server", "examples/dns_server.lua", "*", 53)
    net:client("client", function()
      local query = (">I2I2I2I2I2I2"):pack(7, 0x0100, 1, 0, 0, 0) .. "\7example\4test\0\0\1\0\1"
      local conn <close> = dial(53)
      assert(conn:send((">s2"):pack(query)))
      local size = (">I2"):unpack(assert(conn:receive(2)))
      local answer = assert(conn:receive(size))
      local udp <close> = socket.udp()
      udp:settimeout(1)
      assert(udp:setpeername("server", 53))
      local same
      for _ = 1, 20 do
        assert(udp:send(query))
        same = udp:receive()
        if same then break end
      end
      assert(same == answer)
    end)
  end)

  sim.it("the Redis server keeps a value", OPTIONS, function(net)
    net:host("server", "examples/redis_server.lua", "*", 6380)
    net:client("client", function()
      local conn <close> = dial(6380)
      assert(conn:send "SET rope lariat\r\nGET rope\r\n")
      for _, line in ipairs { "+OK", "$6", "lariat" } do assert(conn:receive() == line) end
    end)
  end)

  sim.it("netcat passes on both standard inputs", OPTIONS, function(net)
    local server = net:client({ name = "server", stdin = "from server" }, "examples/netcat.lua",
      "-l", 7003)
    require "lariat.task".sleep(0.01) -- virtual: now it listens
    local output = output_of(net, { name = "client", stdin = "from client" }, "netcat",
      "server", 7003)
    assert(output == "from server", output)
    server:wait()
    assert(server:output() == "from client", server:output())
  end)

  sim.it("all in the group hear the multicast chat", { seeds = 5, loss = false, echo = false },
    function(net)
      local group = "239.76.97.114"
      local function listen()
        local udp <close> = socket.udp4()
        udp:settimeout(PATIENCE)
        assert(udp:setsockname(group, 7001))
        assert(udp:setoption("ip-add-membership", { multiaddr = group, interface = "*" }))
        for _, text in ipairs { "(joins)", "hello", "(leaves)" } do
          assert(udp:receive() == "ann: " .. text)
        end
      end
      net:client("bob", listen)
      net:client("cid", listen)
      output_of(net, { name = "ann", stdin = "hello\n" }, "multicast_chat", "ann")
    end)
end)
