-- SPDX-License-Identifier: MIT

local socket = require "socket"
local lariat = require "lariat"
local example = require "spec.support.example"
local net = require "spec.support.net"

local LOOPBACK = "127.0.0.1"

describe("the TCP echo server", function()
  it("sends back what ncat sends", function()
    local server <close> = example.start("tcp_echo_server", LOOPBACK, 0)
    local output, _, status = example.peer {
      "ncat", LOOPBACK, server.port, input = "one\ntwo\nno end",
    }
    assert.equal("one\ntwo\nno end", output)
    assert.equal(0, status)
  end)

  it("sends back a megabyte of socat's unchanged", function()
    local server <close> = example.start("tcp_echo_server", LOOPBACK, 0)
    local sent = ("0123456789abcde\n"):rep(65536)
    local output = example.peer {
      "socat", "-t", 10, "-", "TCP:127.0.0.1:" .. server.port, input = sent,
    }
    assert.is_true(output == sent)
  end)

  it("goes on after a client that resets and one that never reads", function()
    local server <close> = example.start("tcp_echo_server", LOOPBACK, 0)
    local reset = assert(socket.connect(LOOPBACK, server.port))
    reset:setoption("linger", { on = true, timeout = 0 })
    reset:send "x"
    assert.equal("x", reset:receive(1))
    reset:close()
    local deaf <close> = assert(socket.connect(LOOPBACK, server.port))
    deaf:settimeout(0)
    repeat until not deaf:send(("x"):rep(65536))
    local output = example.peer { "ncat", LOOPBACK, server.port, input = "still there\n" }
    assert.equal("still there\n", output)
  end)

  it("says what is wrong with its arguments", function()
    assert.is_true(example.refuses("tcp_echo_server", LOOPBACK, "http"))
    assert.is_true(example.refuses("tcp_echo_server", LOOPBACK, 70000))
    assert.is_true(example.refuses("tcp_echo_server", LOOPBACK, 1, "more"))
    local server <close> = example.start("tcp_echo_server", LOOPBACK, 0)
    local _, how, status = example.run("tcp_echo_server", LOOPBACK, server.port)
    assert.same({ "exit", 1 }, { how, status })
  end)
end)

describe("the TCP echo client", function()
  -- As inetd would: each connection becomes the standard input and output of a program.
  local function served_by(program, ...)
    local port, server <close> = net.server(function(conn)
      local child <close> = assert(lariat.run {
        program, stdin = conn, stdout = conn, stderr = "null",
      })
      child:wait()
    end)
    assert(server)
    return example.run("tcp_echo_client", LOOPBACK, port, ...)
  end

  it("gets its lines back from cat", function()
    local output, how, status = served_by("cat", "hello", "", "the end")
    assert.equal("hello\n\nthe end\n", output)
    assert.same({ "exit", 0 }, { how, status })
  end)

  it("fails when the answers differ", function()
    local _, how, status = served_by("yes", "abc")
    assert.same({ "exit", 1 }, { how, status })
  end)

  it("sends the lines of its standard input", function()
    local server <close> = example.start("tcp_echo_server", LOOPBACK, 0)
    local output, _, status = example.run_with_input(
      "a\nb\n", "tcp_echo_client", LOOPBACK, server.port)
    assert.equal("a\nb\n", output)
    assert.equal(0, status)
  end)

  it("fails where nobody listens, and refuses bad arguments", function()
    local gone = example.start("tcp_echo_server", LOOPBACK, 0)
    gone:stop()
    local _, how, status = example.run("tcp_echo_client", LOOPBACK, gone.port, "x")
    assert.same({ "exit", 1 }, { how, status })
    assert.is_true(example.refuses("tcp_echo_client", LOOPBACK))
  end)
end)

describe("the UDP echo server and client", function()
  it("echo to socat", function()
    local server <close> = example.start("udp_echo_server", LOOPBACK, 0)
    local peer <close> = example.talk { "socat", "-", "UDP:127.0.0.1:" .. server.port }
    for _, text in ipairs { "one\n", "two\n" } do
      peer.stdin:send(text)
      assert.equal(text, peer.stdout:receive "*L")
    end
  end)

  it("echo to each other", function()
    local server <close> = example.start("udp_echo_server", LOOPBACK, 0)
    local output, how, status = example.run(
      "udp_echo_client", LOOPBACK, server.port, "hello", "", "bye")
    assert.equal("hello\n\nbye\n", output)
    assert.same({ "exit", 0 }, { how, status })
  end)

  it("fail where nobody listens, and refuse bad arguments", function()
    local gone = example.start("udp_echo_server", LOOPBACK, 0)
    gone:stop()
    local _, how, status = example.run("udp_echo_client", LOOPBACK, gone.port, "x")
    assert.same({ "exit", 1 }, { how, status })
    assert.is_true(example.refuses("udp_echo_client", LOOPBACK, 7000))
    assert.is_true(example.refuses("udp_echo_server", LOOPBACK, -1))
  end)
end)
