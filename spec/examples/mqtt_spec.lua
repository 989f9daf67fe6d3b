-- SPDX-License-Identifier: MIT

local example = require "spec.support.example"
local mqtt = require "examples.wire.mqtt"
local socket = require "socket"

local LOOPBACK = "127.0.0.1"

describe("the MQTT broker", function()
  local broker
  before_each(function() broker = example.start("mqtt_broker", LOOPBACK, 0) end)
  after_each(function() broker:stop() end)

  -- A client of our own, that has introduced itself.
  local function client(options)
    local conn = assert(socket.connect(LOOPBACK, broker.port))
    conn:settimeout(20)
    local hello = { type = "CONNECT", protocol = "MQTT", level = 4, clean = true, keepalive = 0,
      client_id = "" }
    for name, value in pairs(options or {}) do hello[name] = value end
    mqtt:write(conn, hello)
    return conn, mqtt:read(conn)
  end

  local function subscribe(conn, filter, qos)
    mqtt:write(conn, { type = "SUBSCRIBE", qos = 1, packet_id = 1,
      filters = { { topic = filter, qos = qos or 0 } } })
    return mqtt:read(conn).codes[1]
  end

  -- The broker has done all that came before.
  local function settle(conn)
    mqtt:write(conn, { type = "PINGREQ" })
    assert.equal("PINGRESP", mqtt:read(conn).type)
  end

  local function mosquitto(what, ...)
    return { "mosquitto_" .. what, "-h", LOOPBACK, "-p", broker.port, ... }
  end

  -- mosquitto_sub -d says when it has subscribed, at once if its output is made to leave by lines.
  local function subscriber(...)
    local child = example.talk { "stdbuf", "-oL", table.unpack(mosquitto("sub", "-d", ...)) }
    example.await(child.stdout, "Subscribed")
    return child
  end

  local function publish(...)
    local _, how, status = example.peer(mosquitto("pub", ...))
    assert.same({ "exit", 0 }, { how, status })
  end

  it("takes messages of every quality from mosquitto_pub to mosquitto_sub", function()
    for qos = 0, 2 do
      local child <close> = subscriber("-t", "lamp/#", "-q", qos, "-C", 3, "-F", "got %t %q %p")
      for i = 0, 2 do publish("-t", "lamp/" .. i, "-m", "on" .. i, "-q", i) end
      for i = 0, 2 do
        assert.equal(("got lamp/%d %d on%d"):format(i, math.min(i, qos), i),
          example.await(child.stdout, "got"))
      end
      assert.same({ "exit", 0 }, { child:wait() })
    end
  end)

  it("serves curl", function()
    local url = ("mqtt://%s:%d/news"):format(LOOPBACK, broker.port)
    local child <close> = subscriber("-t", "news", "-C", 1, "-F", "got %p")
    assert.equal(0, select(3, example.peer { "curl", "-s", "-m", 20, "-d", "from curl", url }))
    assert.equal("got from curl", example.await(child.stdout, "got"))
    publish("-t", "news", "-m", "for curl\n", "-r")
    local reading <close> = example.talk { "curl", "-sN", "-m", 20, url }
    assert.matches("for curl$", reading.stdout:receive()) -- this curl prints the topic as well
  end)

  it("keeps retained messages until they are replaced or emptied", function()
    publish("-t", "a/b", "-m", "old", "-r")
    publish("-t", "a/b", "-m", "new", "-r", "-q", 1)
    publish("-t", "a/c", "-m", "gone", "-r")
    publish("-t", "a/c", "-n", "-r")
    local output = example.peer(mosquitto("sub", "-t", "a/+", "-W", 20, "-C", 1, "-F", "%t %r %p"))
    assert.equal("a/b 1 new\n", output)
  end)

  it("matches topics with filters as the standard says", function()
    local conn <close> = client()
    for _, case in ipairs {
      { "sport/#", "sport", true }, { "sport/#", "sport/a/b", true },
      { "sport/#", "sports", false },
      { "#", "a/b", true }, { "#", "$SYS/a", false }, { "+/a", "$SYS/a", false },
      { "$SYS/#", "$SYS/a", true }, { "+", "a", true }, { "+", "/a", false }, { "/+", "/a", true },
      { "+/+", "/a", true }, { "a/+/c", "a//c", true }, { "a/+", "a", false }, { "a", "A", false },
    } do
      local filter, topic, expected = table.unpack(case)
      assert.equal(0, subscribe(conn, filter))
      mqtt:write(conn, { type = "PUBLISH", topic = topic, payload = "x" })
      mqtt:write(conn, { type = "UNSUBSCRIBE", qos = 1, packet_id = 2, topics = { filter } })
      local got = mqtt:read(conn)
      local second = expected and mqtt:read(conn)
      local types = { [got.type] = true, [second and second.type or ""] = true }
      assert.equal(expected, types.PUBLISH == true, filter .. " " .. topic)
      assert.is_true(types.UNSUBACK)
    end
    for _, filter in ipairs { "a#", "#/a", "a+/b", "", "a/\0" } do
      assert.equal(0x80, subscribe(conn, filter))
    end
    assert.equal(0x80, subscribe(conn, "a", 3))
  end)

  it("publishes the will of a client that goes without a word, and of no other", function()
    local watcher <close> = client()
    subscribe(watcher, "will/+")
    local will = { will = true, will_topic = "will/1", will_message = "bye", will_qos = 0 }
    local polite = client(will)
    mqtt:write(polite, { type = "DISCONNECT" })
    assert.is_nil(mqtt:read(polite))
    will.will_topic = "will/2"
    local rude = client(will)
    rude:close()
    local m = mqtt:read(watcher)
    assert.same({ "will/2", "bye" }, { m.topic, m.payload })
    polite:close()
  end)

  it("lets a client that comes again take its place", function()
    local first <close>, hello = client { client_id = "same" }
    assert.same({ "CONNACK", 0 }, { hello.type, hello.code })
    local second <close> = client { client_id = "same" }
    assert.same({ nil, "closed" }, { mqtt:read(first) })
    settle(second)
  end)

  it("delivers a message of quality 2 once, however often it is repeated", function()
    local conn <close> = client()
    subscribe(conn, "twice")
    local m = { type = "PUBLISH", topic = "twice", payload = "x", qos = 2, packet_id = 9 }
    mqtt:write(conn, m)
    m.dup = true
    mqtt:write(conn, m)
    mqtt:write(conn, { type = "PUBREL", qos = 1, packet_id = 9 })
    local count = {}
    for _ = 1, 4 do
      local got = mqtt:read(conn)
      count[got.type] = (count[got.type] or 0) + 1
    end
    assert.same({ PUBREC = 2, PUBLISH = 1, PUBCOMP = 1 }, count)
    settle(conn)
  end)

  it("hangs up on what is against the rules", function()
    local function hangs_up(conn, ...)
      for _, bytes in ipairs { ... } do conn:send(bytes) end
      local m, message = mqtt:read(conn)
      conn:close()
      return m == nil and message == "closed"
    end
    local function raw() return assert(socket.connect(LOOPBACK, broker.port)) end
    assert.is_true(hangs_up(raw(), "GET / HTTP/1.1\r\n" .. ("x"):rep(99)))
    assert.is_true(hangs_up(raw(), mqtt:encode { type = "PINGREQ" }))
    assert.is_true(hangs_up(client(), "\x30\xff\xff\xff\xff\x01"))
    local wild = { type = "PUBLISH", topic = "a/+", payload = "" }
    assert.is_true(hangs_up(client(), mqtt:encode(wild)))
    assert.is_true(hangs_up(client(), mqtt:encode { type = "CONNECT", protocol = "MQTT", level = 4,
      clean = true, keepalive = 0, client_id = "again" }))
    local conn, hello = client { level = 3 }
    assert.equal(1, hello.code)
    conn:close()
    conn, hello = client { clean = false }
    assert.equal(2, hello.code)
    conn:close()
  end)

  it("is not held up by a client that does not read", function()
    local deaf <close> = client()
    deaf:setoption("recv-buffer-size", 4096)
    subscribe(deaf, "flood")
    local conn <close> = client()
    subscribe(conn, "flood")
    local payload = ("x"):rep(50000)
    for _ = 1, 300 do
      mqtt:write(conn, { type = "PUBLISH", topic = "flood", payload = payload })
      assert.equal(payload, mqtt:read(conn).payload)
    end
  end)
end)

it("the MQTT broker refuses bad arguments", function()
  assert.is_true(example.refuses("mqtt_broker", LOOPBACK, "mqtt"))
end)
