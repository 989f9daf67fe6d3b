-- SPDX-License-Identifier: MIT

local example = require "spec.support.example"
local socket = require "socket"

local LOOPBACK = "127.0.0.1"

describe("the syslog receiver", function()
  local server
  before_each(function() server = example.start("syslog_receiver", LOOPBACK, 0) end)
  after_each(function() server:stop() end)

  local function logger(...)
    local _, how, status = example.peer { "logger", "-n", LOOPBACK, "-P", server.port, ... }
    assert.same({ "exit", 0 }, { how, status })
  end

  it("prints what logger sends, in each of the three framings", function()
    logger("-d", "-p", "mail.err", "as a datagram")
    assert.matches("^127%.0%.0%.1 mail%.err .*as a datagram$",
      example.await(server.child.stdout, "as a datagram"))
    logger("-T", "-p", "local3.debug", "as a line")
    assert.matches("^127%.0%.0%.1 local3%.debug .*as a line$",
      example.await(server.child.stdout, "as a line"))
    logger("-T", "--octet-count", "-p", "user.emerg", "behind a count")
    assert.matches("^127%.0%.0%.1 user%.emerg .*behind a count$",
      example.await(server.child.stdout, "behind a count"))
  end)

  it("takes framings in turn on one connection, however it is cut", function()
    local conn <close> = assert(socket.connect(LOOPBACK, server.port))
    local bytes = "<14>one\n9 <14>t\nwo\n<14>three\n9 <14>four\n<14>five\n"
    for i = 1, #bytes do
      conn:send(bytes:sub(i, i))
      conn:flush()
    end
    for _, text in ipairs { "one", "t\\010wo", "three", "four", "five" } do
      assert.equal("127.0.0.1 user.info " .. text, server.child.stdout:receive())
    end
  end)

  it("says what is no message, and goes on", function()
    local conn <close> = assert(socket.connect(LOOPBACK, server.port))
    conn:send "<x>\n"
    assert.matches("127%.0%.0%.1: syslog_line", server.child.stderr:receive())
    local udp <close> = socket.udp()
    udp:sendto("nonsense\27[31m", LOOPBACK, server.port)
    assert.matches("127%.0%.0%.1: syslog at offset 0", server.child.stderr:receive())
    udp:sendto("<999>end \27[31m", LOOPBACK, server.port)
    assert.equal("127.0.0.1 unknown.debug end \\027[31m", server.child.stdout:receive())
  end)
end)

it("the syslog receiver refuses bad arguments", function()
  assert.is_true(example.refuses("syslog_receiver", LOOPBACK, "syslog"))
end)
