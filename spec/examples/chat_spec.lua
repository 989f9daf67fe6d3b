-- SPDX-License-Identifier: MIT

local example = require "spec.support.example"

local LOOPBACK = "127.0.0.1"

-- A client in ncat that has said its nickname and been welcomed.
local function join(server, nick)
  local client = example.talk { "ncat", LOOPBACK, server.port }
  example.await(client.stdout, "nickname?")
  client.stdin:send(nick .. "\n")
  example.await(client.stdout, "welcome, " .. nick)
  return client
end

describe("the chat server", function()
  it("passes what one ncat says to the others", function()
    local server <close> = example.start("chat_server", LOOPBACK, 0)
    local ann <close> = join(server, "ann")
    local bob <close> = join(server, "bob")
    assert.equal("* bob is here", ann.stdout:receive())
    ann.stdin:send "hello \27[31mthere\n"
    assert.equal("<ann> hello [31mthere", bob.stdout:receive())
    bob.stdin:send "/who\n"
    assert.equal("* here: ann bob", bob.stdout:receive())
    bob.stdin:send "/quit\n"
    assert.equal("* bob has left", ann.stdout:receive())
  end)

  it("asks again for a nickname that is taken or unfit", function()
    local server <close> = example.start("chat_server", LOOPBACK, 0)
    local ann <close> = join(server, "ann")
    local other <close> = example.talk { "ncat", LOOPBACK, server.port }
    other.stdin:send "ann\na b\nbob\n"
    example.await(other.stdout, "taken")
    example.await(other.stdout, "at most 20")
    example.await(other.stdout, "welcome, bob")
    assert.equal("* bob is here", ann.stdout:receive())
  end)

  it("drops a client that vanishes, and one that sends lines without end", function()
    local server <close> = example.start("chat_server", LOOPBACK, 0)
    local ann <close> = join(server, "ann")
    local bob <close> = join(server, "bob")
    bob:kill "KILL"
    example.await(ann.stdout, "* bob has left")
    local long <close> = join(server, "long")
    long.stdin:send(("x"):rep(100000))
    example.await(ann.stdout, "* long has left")
  end)

  it("drops a client that does not read, and the others lose nothing", function()
    local server <close> = example.start("chat_server", LOOPBACK, 0)
    local ann <close> = join(server, "ann")
    local bob <close> = join(server, "bob")
    local slow <close> = join(server, "slow")
    slow:kill "STOP"
    local said, heard, left = 0, 0, false
    local function say()
      said = said + 1
      ann.stdin:send(("%d %s\n"):format(said, ("x"):rep(1900)))
    end
    for _ = 1, 20 do say() end -- never more than 20 on their way
    for line in bob.stdout:lines() do
      local number = line:match "^<ann> (%d+) "
      if number then
        heard = heard + 1
        assert.equal(heard, math.tointeger(number))
        if not left then say() end
      end
      left = left or line == "* slow has left"
      if left and heard == said then break end
    end
    assert.is_true(left)
    assert.equal(said, heard)
    slow:kill "KILL"
  end)

  it("refuses bad arguments", function()
    assert.is_true(example.refuses("chat_server", LOOPBACK, "irc"))
  end)
end)

describe("the multicast chat", function()
  local GROUP = "239.76.97.114"

  it("talks with another one, and with socat", function()
    local ann <close> = example.start("multicast_chat", "ann", GROUP, 0, LOOPBACK)
    local bob <close> = example.talk_to("multicast_chat", "bob", GROUP, ann.port, LOOPBACK)
    assert.equal("ann: (joins)", ann.child.stdout:receive())
    assert.equal("bob: (joins)", ann.child.stdout:receive())
    example.await(bob.stdout, "bob: (joins)")
    ann.child.stdin:send "hello\n"
    assert.equal("ann: hello", bob.stdout:receive())
    assert.equal("ann: hello", ann.child.stdout:receive())
    example.peer {
      "socat", "-u", "-", ("UDP4-DATAGRAM:%s:%d,ip-multicast-if=127.0.0.1"):format(GROUP, ann.port),
      input = "socat: bell \a",
    }
    assert.equal("socat: bell ?", bob.stdout:receive())
    bob.stdin:close()
    example.await(ann.child.stdout, "bob: (leaves)")
    assert.equal("exit", (bob:wait()))
  end)

  it("refuses bad arguments", function()
    assert.is_true(example.refuses("multicast_chat"))
    assert.is_true(example.refuses("multicast_chat", "ann", "192.0.2.1"))
    assert.is_true(example.refuses("multicast_chat", "a b"))
  end)
end)
