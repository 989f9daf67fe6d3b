-- SPDX-License-Identifier: MIT

local socket = require "socket"
local example = require "spec.support.example"

local LOOPBACK = "127.0.0.1"

local function dig(server, ...)
  return (example.peer {
    "dig", "@" .. LOOPBACK, "-p", server.port, "+tries=1", "+noedns", ...,
  })
end

-- Sends a packet as it is, then one that is in order: the answers that come until then.
local function answers_to(server, packet)
  local udp <close> = socket.udp()
  udp:setpeername(LOOPBACK, server.port)
  udp:send(packet)
  udp:send("\0\7\1\0\0\1\0\0\0\0\0\0\7example\4test\0\0\1\0\1")
  local answers = {}
  while true do
    local answer = assert(udp:receive())
    if answer:sub(1, 2) == "\0\7" then return answers end
    answers[#answers + 1] = answer
  end
end

describe("the DNS server", function()
  local server
  before_each(function() server = example.start("dns_server", LOOPBACK, 0) end)
  after_each(function() server:stop() end)

  it("answers dig over UDP and TCP", function()
    for _, how in ipairs { "+notcp", "+tcp" } do
      assert.equal("192.0.2.1\n192.0.2.2\n", dig(server, how, "+short", "example.test", "A"))
      assert.equal("2001:db8::6\n", dig(server, how, "+short", "IPv6.Example.TEST", "AAAA"))
      assert.equal('"hello from lariat"\n', dig(server, how, "+short", "example.test", "TXT"))
    end
  end)

  it("tells names that do not exist from names without such data", function()
    assert.is_truthy(dig(server, "nope.example.test"):find "status: NXDOMAIN")
    assert.is_truthy(dig(server, "www.example.test", "AAAA"):find "status: NOERROR.*ANSWER: 0")
    assert.is_truthy(dig(server, "test"):find "status: NOERROR.*ANSWER: 0")
    assert.is_truthy(dig(server, "-c", "CH", "example.test"):find "status: REFUSED")
    assert.is_truthy(dig(server, "+opcode=status", "example.test"):find "status: NOTIMP")
  end)

  it("answers many questions on one TCP connection", function()
    local output = dig(server, "+tcp", "+keepopen", "+short", "example.test", "AAAA",
      "ipv6.example.test", "AAAA")
    assert.equal("2001:db8::1\n2001:db8::6\n", output)
  end)

  it("ignores garbage and answers, and reports what is malformed", function()
    assert.same({}, answers_to(server, ""))
    assert.same({}, answers_to(server, "garbage"))
    assert.same({}, answers_to(server, "\1\2\x81\0\0\1\0\0\0\0\0\0\7example\4test\0\0\1\0\1"))
    local formerr = { "\1\2\x85\1\0\0\0\0\0\0\0\0" }
    local head = "\1\2\1\0\0\1\0\0\0\0\0\0"
    assert.same(formerr, answers_to(server, head)) -- no question
    assert.same(formerr, answers_to(server, head .. "\x3fabc")) -- a label cut short
    assert.same(formerr, answers_to(server, head .. "\xc0\x0c\0\1\0\1")) -- points at itself
    assert.same(formerr, answers_to(server, head .. "\7example\4test\0\0\1")) -- no class
    assert.same(formerr, answers_to(server, head .. ("\1a"):rep(200) .. "\0\0\1\0\1")) -- too long
  end)

  it("closes a TCP connection that sends garbage, and serves the others", function()
    local bad <close> = assert(socket.connect(LOOPBACK, server.port))
    bad:send "\0\3abc"
    assert.same({ nil, "closed" }, { bad:receive(1), (select(2, bad:receive(1))) })
    local silent <close> = assert(socket.connect(LOOPBACK, server.port))
    silent:send "\255\255"
    assert.equal("192.0.2.80\n", dig(server, "+tcp", "+short", "www.example.test"))
  end)
end)

describe("a zone file", function()
  local function with_zone(text, f)
    local directory, remove <close> = example.directory()
    local path = directory .. "/zone"
    example.write(path, text)
    f(path)
    assert(remove)
  end

  it("may hold more than a datagram does: dig asks again over TCP", function()
    local lines = { "# comment", "", "Long.Test. TXT " .. ("x"):rep(700), "::.six.test AAAA ::" }
    for i = 1, 100 do lines[#lines + 1] = "big.test A 192.0.2." .. i end
    with_zone(table.concat(lines, "\n"), function(path)
      local server <close> = example.start("dns_server", LOOPBACK, 0, path)
      local _, count = dig(server, "+short", "big.test"):gsub("192%.0%.2%.%d+\n", "")
      assert.equal(100, count)
      assert.is_truthy(dig(server, "+ignore", "big.test"):find "flags: qr aa tc rd")
      assert.equal(700, #dig(server, "+short", "long.test", "TXT"):gsub("[^x]", ""))
    end)
  end)

  it("that makes no sense is refused, with the line", function()
    for _, line in ipairs {
      "x.test A 1.2.3.400", "x.test A 1.2.3", "x.test AAAA 1::2::3", "x.test AAAA 1:2",
      "x.test AAAA 1:2:3:4:5:6:7::8:9", "x.test MX 10 y", "x..test A 1.2.3.4", "x.test",
    } do
      with_zone("ok.test A 192.0.2.1\n" .. line .. "\n", function(path)
        local ok, message = pcall(example.start, "dns_server", LOOPBACK, 0, path)
        assert.is_false(ok)
        assert.is_truthy(message:find("/zone:2: NAME", 1, true), line)
      end)
    end
    local _, how, status = example.run("dns_server", LOOPBACK, 0, "/nowhere/zone")
    assert.same({ "exit", 1 }, { how, status })
    assert.is_true(example.refuses("dns_server", LOOPBACK, "domain"))
  end)
end)
