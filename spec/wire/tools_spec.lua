-- SPDX-License-Identifier: MIT
--
-- What a declaration gives beside its codec: dumps, descriptions, and all of it from the command
-- line.

local P = require "spec.wire.protocols"
local lariat = require "lariat"
local wire = require "lariat.wire"
local _ENV = wire.names(_ENV)

local LARIAT = os.getenv "LARIAT" or "./lariat"

local function lines(text)
  local list = {}
  for line in text:gmatch "[^\n]+" do list[#list + 1] = (line:gsub("%s+", " "):gsub(" $", "")) end
  return list
end

describe("a dump", function()
  it("has a line for each field, with its bytes or bits", function()
    assert.same({
      '0000 0011.... type "PUBLISH"', "0000 ....0... dup false", "0000 .....01. qos 1",
      "0000 .......1 retain true", "0001 09 remaining 9", "0002 00 02 remaining.PUBLISH.topic# 2",
      '0004 61 62 remaining.PUBLISH.topic "ab"',
        "0006 01 00 remaining.PUBLISH.packet_id 256 (0x100)",
      '0008 78 79 7a remaining.PUBLISH.payload "xyz"',
    }, lines(P.mqtt:dump("\x33\9\0\2ab\1\0xyz")))
  end)

  it("ends where the message breaks, and says why", function()
    local broken = lines(P.mqtt:dump("\x33\5\0\9abc"))
    assert.equal("0004 61 62 63 ^ mqtt.remaining.PUBLISH.topic at offset 4: 9 bytes, 3 left",
      broken[#broken])
    local cut = lines(P.mqtt:dump("\x33\x10\0\2ab\1\0xy"))
    assert.equal('0008 78 79 remaining.PUBLISH.payload "xy"', cut[#cut - 1])
    assert.match("incomplete, at least 8 bytes more", cut[#cut])
    local more = lines(P.mqtt:dump("\xc0\0zz"))
    assert.equal("0002 7a 7a 2 bytes behind the message", more[#more])
  end)

  it("shows messages in messages with their path", function()
    local dump = P.resp:dump "*1\r\n$2\r\nhi\r\n"
    assert.match('items%[1%]%.bulk%.data +"hi"', dump)
    assert.match("length%.message%.id", P.dns_tcp:dump(P.dns_tcp:encode(P.dns_tcp:random(1))))
  end)

  it("is made of spans that cover all bytes", function()
    for _, name in ipairs { "mqtt", "memcached", "nats", "png", "ipv4", "numbers" } do
      local bytes = P[name]:encode(P[name]:random(3))
      local spans, why, size = P[name]:spans(bytes)
      assert.is_nil(why)
      assert.equal(#bytes, size)
      local covered = {}
      for _, span in ipairs(spans) do
        for i = span.at, span.at + span.size - 1 do covered[i] = true end
      end
      local bare = 0
      for i = 0, #bytes - 1 do bare = bare + (covered[i] and 0 or 1) end
      assert.is_true(bare <= (name == "nats" and 12 or 0), name) -- spaces and ends of lines
    end
  end)
end)

describe("a description", function()
  it("is the diagram of an RFC and a table", function()
    local text = P.ipv4:describe()
    assert.match("\n|version|header_|   dscp    |ecn|         total_length          |\n", text, 1,
      true)
    assert.match("\n|      ttl      |   protocol    |           checksum            |\n", text, 1,
      true)
    assert.match("`protocol` | u8 | 1 byte | icmp = 1, tcp = 6, udp = 17 |", text, 1, true)
    assert.match("*if `type` is PUBACK, PUBREC, PUBREL, PUBCOMP, UNSUBACK*", P.mqtt:describe(), 1,
      true)
  end)

  it("exists for every protocol", function()
    for _, m in pairs(P) do
      assert.match("| Field | Type | Size | Values |", m:describe(), 1, true)
    end
  end)
end)

describe("lariat --wire", function()
  local function run(...)
    local options = { LARIAT, "--wire", ... }
    options.stderr = "pipe"
    local input
    for i, word in ipairs(options) do
      if type(word) == "table" then
        input = table.remove(options, i)[1]
        break
      end
    end
    options.input = input
    local child <close> = assert(lariat.run(options))
    local out, err = child.stdout:receive "*a" or "", child.stderr:receive "*a" or ""
    local how, status = child:wait()
    return out, err, how == "exit" and status
  end

  it("describes, dumps and makes messages", function()
    local out, err, status = run "examples/wire/mqtt.lua"
    assert.same({ P.mqtt:describe(), "", 0 }, { out, err, status })
    local bytes = P.mqtt:encode(P.mqtt:random(5)) .. P.mqtt:encode(P.mqtt:random(6))
    assert.equal(bytes, (run("examples/wire/mqtt.lua", "--random", "2", "--seed=5")))
    local dump = P.mqtt:dump(P.mqtt:encode(P.mqtt:random(5))) .. "\n" ..
      P.mqtt:dump(P.mqtt:encode(P.mqtt:random(6)))
    assert.equal(dump, (run("examples/wire/mqtt.lua", "--dump", { bytes })))
    assert.equal(dump, (run("examples/wire/mqtt.lua", "--random", "2", "--seed=5", "--dump")))
  end)

  it("makes a plugin, for one of several messages", function()
    local out = run("examples/wire/dns.lua", "dns", "--dissector", "--udp", "--port=53")
    assert.equal(P.dns:dissector { transport = "udp", port = 53 }, out)
    local _, err, status = run("examples/wire/dns.lua", "--dissector")
    assert.match("which message%? dns, dns_tcp", err)
    assert.equal(2, status)
  end)

  it("says what is wrong", function()
    local _, err, status = run()
    assert.match("usage: lariat %-%-wire FILE", err)
    assert.equal(2, status)
    _, err, status = run "no/such.lua"
    assert.match("cannot open no/such.lua", err)
    assert.equal(1, status)
    _, err, status = run("examples/wire/mqtt.lua", "--dump", { "\xff" })
    assert.equal(1, status)
    assert.equal("", err)
    _, err, status = run("examples/wire/mqtt.lua", "--frob")
    assert.match("unrecognized option '%-%-frob'", err)
    assert.equal(2, status)
  end)
end)
