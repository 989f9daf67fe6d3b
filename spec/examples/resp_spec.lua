-- SPDX-License-Identifier: MIT

local example = require "spec.support.example"
local socket = require "socket"

local LOOPBACK = "127.0.0.1"

describe("the RESP server", function()
  local server
  before_each(function() server = example.start("resp_server", LOOPBACK, 0) end)
  after_each(function() server:stop() end)

  -- What redis-cli prints for the lines of `commands`: "(nil)", "1", '"text"', ...
  local function cli(commands)
    local output, _, status = example.peer {
      "redis-cli", "--no-raw", "-h", LOOPBACK, "-p", server.port, input = commands,
    }
    assert.equal(0, status)
    return (output:gsub("%(integer%) ", ""):gsub("%(error%) ", ""):gsub("\n+", "\n"))
  end

  it("does strings and lists for redis-cli", function()
    assert.equal('PONG\n"hi"\nOK\n"1"\n2\n12\n',
      cli "ping\necho hi\nset a 1\nget a\nincr a\nincrby a 10\n")
    assert.equal("(nil)\n1\n2\n(nil)\n", cli "get nope\ndel a nope\nincrby b 2\nget a\n")
    assert.equal('2\n3\n"y"\n"z"\n1\n1\n"x"\n(nil)\n0\n',
      cli "rpush l x z\nlpush l y\nlpop l\nrpop l\nllen l\nexists l\nlpop l\nlpop l\nllen l\n")
    assert.equal("OK\n(nil)\n", cli "flushall\nget b\n")
  end)

  it("says what is wrong", function()
    assert.equal("ERR unknown command 'foo'\n", cli "foo\n")
    assert.equal("ERR wrong number of arguments for get\n", cli "get\n")
    assert.equal("ERR value is not an integer or out of range\n", cli "incrby n x\n")
    assert.matches("^1\nWRONGTYPE [^\n]*\nWRONGTYPE [^\n]*\n$", cli "rpush l 1\nget l\nincr l\n")
  end)

  it("takes commands typed by hand among the others, however they are cut", function()
    local conn <close> = assert(socket.connect(LOOPBACK, server.port))
    local bytes = "PING\r\n*2\r\n$4\r\nECHO\r\n$3\r\n\r\n!\r\n\r\nset a b\nGET a\r\n" ..
      "*1\r\n$4\r\nping\r\n"
    for i = 1, #bytes do
      conn:send(bytes:sub(i, i))
      conn:flush()
    end
    local expected = "+PONG\r\n$3\r\n\r\n!\r\n+OK\r\n$1\r\nb\r\n+PONG\r\n"
    assert.equal(expected, conn:receive(#expected))
  end)

  it("hangs up on violations, and says why", function()
    for _, bytes in ipairs { "*1\r\n:4\r\n", "*x\r\n", "*1\r\n$-1\r\n", "*1\r\n$99999999999\r\n",
      "*1\r\n*1\r\n+x\r\n" } do
      local conn <close> = assert(socket.connect(LOOPBACK, server.port))
      conn:send(bytes)
      assert.matches("^%-ERR Protocol error: ", (conn:receive()))
      assert.same({ nil, "closed", "" }, { conn:receive() })
    end
    assert.equal("PONG\n", cli "ping\n")
  end)

  it("stands redis-benchmark with 16 commands at a time", function()
    local output, how, status = example.peer {
      "redis-benchmark", "-h", LOOPBACK, "-p", server.port, "-P", 16, "-n", 3200, "-c", 20, "-q",
      "-t", "ping,set,get,incr,lpush,lpop", stderr = "stdout",
    }
    assert.same({ "exit", 0 }, { how, status })
    assert.is_nil(output:lower():match "[^\r\n]*error[^\r\n]*")
    local _, done = output:gsub("[%d.]+ requests per second", "")
    assert.equal(7, done) -- ping both ways, set, get, incr, lpush, lpop
  end)
end)

it("the RESP server refuses bad arguments", function()
  assert.is_true(example.refuses("resp_server", LOOPBACK, "resp"))
end)
