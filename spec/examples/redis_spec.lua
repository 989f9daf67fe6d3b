-- SPDX-License-Identifier: MIT

local socket = require "socket"
local example = require "spec.support.example"

local LOOPBACK = "127.0.0.1"

describe("the redis server", function()
  local server
  before_each(function() server = example.start("redis_server", LOOPBACK, 0) end)
  after_each(function() server:stop() end)

  -- What redis-cli prints for the lines of `commands`: "(nil)", "(integer) 1", '"text"', ...
  local function cli(commands)
    local output, _, status = example.peer {
      "redis-cli", "--no-raw", "-h", LOOPBACK, "-p", server.port, input = commands,
    }
    assert.equal(0, status)
    return (output:gsub("%(integer%) ", ""):gsub("%(error%) ", ""):gsub("\n+", "\n"))
  end

  local function send(text)
    return (example.peer { "ncat", LOOPBACK, server.port, input = text })
  end

  it("does strings for redis-cli", function()
    assert.equal('PONG\n"hi"\nOK\n"1"\n2\n3\n',
      cli "ping\necho hi\nset a 1\nget a\nincr a\nincr a\n")
    assert.equal('13\n12\nOK\n"1"\n', cli "incrby a 10\ndecr a\nmset x 1 y 2\nget x\n")
    assert.equal('4\n"12bc"\n4\n0\n', cli "append a bc\nget a\nstrlen a\nstrlen nope\n")
    assert.equal("2\n1\n0\n2\n", cli "del a x nope\nexists y\nexists a\nappend new ab\n")
    assert.equal('1) "2"\n2) (nil)\n3) "ab"\n2\n', cli "mget y nope new\ndbsize\n")
    assert.equal("OK\n0\n(nil)\n", cli "flushall\ndbsize\nget y\n")
  end)

  it("does conditions and expiry", function()
    assert.equal('OK\n(nil)\n"1"\n', cli "set a 1 nx\nset a 2 NX\nget a\n")
    assert.equal('OK\n(nil)\n"3"\n', cli "set a 3 xx\nset b 1 XX\nget a\n")
    assert.equal("OK\n100\n-1\n-2\n", cli "set t 1 ex 100\nttl t\nttl a\nttl nope\n")
    assert.equal("1\n0\n-2\n", cli "expire t 0\nexpire t 5\nttl t\n")
    assert.equal("OK\n1\n(nil)\n", cli "set p 1 px 100000\nexpire p -1\nget p\n")
    assert.equal("OK\n100\nOK\n-1\n", cli "set t 1 ex 100\nttl t\nset t 2\nttl t\n")
  end)

  it("finds keys by globs", function()
    cli "mset one 1 two 2 three 3 t? 4 a[b 5\n"
    local function keys(glob)
      local found = {}
      for key in cli("keys " .. glob .. "\n"):gmatch '"(.-)"' do found[#found + 1] = key end
      table.sort(found)
      return table.concat(found, " ")
    end
    assert.equal("one", keys "o*e")
    assert.equal("two", keys "t[v-x]o")
    assert.equal("a[b one", keys "[^t]*")
    assert.equal("one three", keys "*e")
    assert.equal("t?", keys "t\\?")
    assert.equal("t?", keys "t?")
    assert.equal("a[b", keys "a[b")
    assert.equal("a[b one t? three two", keys "**")
    assert.equal("", keys(("*a"):rep(300)))
  end)

  it("says what is wrong with a command", function()
    local long = "9223372036854775807"
    assert.equal("ERR unknown command 'foo'\n", cli "foo\n")
    assert.equal("ERR wrong number of arguments for 'get' command\n", cli "get\n")
    assert.equal("ERR syntax error\n", cli "set a 1 ex 5 px\n")
    assert.equal("ERR value is not an integer or out of range\n", cli "incrby n x\n")
    assert.equal("ERR value is not an integer or out of range\n", cli "set n 1 ex 1.5\n")
    assert.equal("OK\nERR increment or decrement would overflow\n",
      cli("set n " .. long .. "\nincr n\n"))
  end)

  it("takes commands typed by hand, and many at once", function()
    assert.equal("+PONG\r\n+OK\r\n$1\r\n1\r\n", send "PING\r\n\r\nset  a 1\r\nGET a\n")
    assert.equal((":%d\r\n"):rep(3):format(1, 2, 3) .. "+OK\r\n",
      send(("*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n"):rep(3) .. "QUIT\r\nPING\r\n"))
    assert.equal("+OK\r\n$4\r\na\r\n\0\r\n",
      send "*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$4\r\na\r\n\0\r\n*2\r\n$3\r\nGET\r\n$1\r\nb\r\n")
  end)

  it("does not mind where the bytes are cut, nor what others send meanwhile", function()
    local text, expected = "", ""
    for _, exchange in ipairs {
      { "SET", "k", "value", reply = "+OK\r\n" },
      { "SET", "a key of 17 bytes", "a value of 19 bytes", reply = "+OK\r\n" },
      { "GET", "a key of 17 bytes", reply = "$19\r\na value of 19 bytes\r\n" },
      { "GET", "k", reply = "$5\r\nvalue\r\n" },
      { "GET", "", reply = "$-1\r\n" },
      { "INCR", "k", reply = "-ERR value is not an integer or out of range\r\n" },
      { "MGET", "k", ("x"):rep(100), reply = "*2\r\n$5\r\nvalue\r\n$-1\r\n" },
      { "EXISTS", "k", reply = ":1\r\n" },
      { "DEL", "k", "nope", reply = ":1\r\n" },
    } do
      local words = {}
      for i, word in ipairs(exchange) do words[i] = ("$%d\r\n%s\r\n"):format(#word, word) end
      text = text .. ("*%d\r\n"):format(#words) .. table.concat(words)
      expected = expected .. exchange.reply
    end
    local conn <close> = assert(socket.connect(LOOPBACK, server.port))
    local other <close> = assert(socket.connect(LOOPBACK, server.port))
    for cut = 1, #text do
      conn:send(text:sub(1, cut))
      conn:flush()
      other:send "*2\r\n$3\r\nGET\r\n$5\r\nother\r\n*3\r\n$3\r\nSET\r\n$1\r\no\r\n$1\r\np\r\n"
      assert.equal("$-1\r\n+OK\r\n", other:receive(10))
      conn:send(text:sub(cut + 1))
      assert.equal(expected, conn:receive(#expected))
    end
  end)

  it("hangs up on violations, and says why", function()
    local function refused(text, why)
      assert.equal("-ERR Protocol error: " .. why .. "\r\n", send(text .. "PING\r\n"))
    end
    refused("*1\r\n:4\r\n", "expected '$', got ':'")
    refused("*x\r\n", "invalid multibulk length")
    refused("*99999999999999999999\r\n", "invalid multibulk length")
    refused("*1\r\n$-5\r\n", "invalid bulk length")
    refused("*1\r\n$999999999\r\n", "invalid bulk length")
    local conn <close> = assert(socket.connect(LOOPBACK, server.port))
    conn:send(("x"):rep(70000))
    assert.equal("-ERR Protocol error: too big inline request", conn:receive())
    assert.equal("", send "*3\r\n$3\r\nSET\r\n$100\r\nabc") -- gone in the middle
    assert.equal("PONG\n", cli "ping\n")
  end)

  it("stands redis-benchmark with 16 commands at a time", function()
    local output, how, status = example.peer {
      "redis-benchmark", "-h", LOOPBACK, "-p", server.port, "-P", 16, "-n", 3200, "-c", 20, "-q",
      "-t", "ping,set,get,incr,mset", stderr = "stdout",
    }
    assert.same({ "exit", 0 }, { how, status })
    assert.is_nil(output:lower():match "[^\r\n]*error[^\r\n]*")
    local _, done = output:gsub("[%d.]+ requests per second", "")
    assert.equal(6, done) -- ping both ways, set, get, incr, mset
  end)
end)

it("the redis server refuses bad arguments", function()
  assert.is_true(example.refuses("redis_server", LOOPBACK, "redis"))
end)
