-- SPDX-License-Identifier: MIT

local socket = require "socket"
local test = require "lariat.test"
local example = require "spec.support.example"

local peer = example.run

-- A port where nobody listens, and one where connects get no answer: its backlog is full.
local function refusing_port()
  local server <close> = assert(socket.bind("127.0.0.1", 0))
  return (select(2, server:getsockname()))
end

local function deaf_port()
  local server = assert(socket.bind("127.0.0.1", 0, 0))
  local _, port = server:getsockname()
  local kept = { server }
  repeat
    local client = socket.tcp4()
    client:settimeout(0.02)
    table.insert(kept, client)
  until not client:connect("127.0.0.1", port)
  return port, setmetatable({}, { __close = function()
    for _, sock in ipairs(kept) do sock:close() end
  end })
end

local function target(port) return "127.0.0.1:" .. port end

describe("health_checker", function()
  it("says which targets can be connected to", function()
    local server = test.serve(function() end)
    local good, bad = target(server.port), target(refusing_port())
    local output, how, status = peer("health_checker", good, bad, "localhost:" .. server.port)
    assert.matches("ok +%d+%.%d+ s  " .. good .. "\n", output)
    assert.matches("ok +%d+%.%d+ s  localhost:" .. server.port .. "\n", output)
    assert.matches("failed +%d+%.%d+ s  " .. bad .. "  connection refused\n", output)
    assert.matches("\n3 targets, 1 not well\n$", output)
    assert.same({ "exit", 1 }, { how, status })
    assert.equal(0, select(3, peer("health_checker", good)))
  end)

  it("gives up each check after its timeout, and all at the deadline", function()
    local port, deaf <close> = deaf_port()
    local output = peer("health_checker", "-t", "0.05", target(port))
    assert.matches("failed .*  timeout\n1 targets, 1 not well\n$", output)
    output = peer("health_checker", "-d", "0.05", "-c", "1", target(port), target(port))
    assert.equal(2, select(2, output:gsub("unchecked [^\n]*  deadline\n", "")))
    assert.is_truthy(deaf)
  end)

  local function sockets_of(child)
    local listing = example.peer { "ls", "-l", ("/proc/%d/fd"):format(child.pid) }
    return (select(2, listing:gsub("socket:", "")))
  end

  it("has only so many connections at once, and reads targets from its input", function()
    local port, deaf <close> = deaf_port()
    local checker <close> = example.talk_to("health_checker", "-c", "3", "-t", "1000", "-")
    checker.stdin:send((target(port) .. "\n"):rep(10))
    checker.stdin:close()
    test.eventually(function() return sockets_of(checker) == 3 end)
    for _ = 1, 3 do assert.equal(3, sockets_of(checker)) end
    assert.is_truthy(deaf)
  end)

  it("shows how far it is to who sits at a terminal", function()
    local port, deaf <close> = deaf_port()
    local lariat_path = os.getenv "LARIAT" or "./lariat"
    local command = lariat_path .. " examples/health_checker.lua -d 0.5 " .. target(port)
    local output = example.peer { "script", "-qefc", command, "/dev/null" }
    assert.matches("\r0 of 1 checked, 0 not well ", output, 1, true)
    assert.is_truthy(deaf)
  end)

  it("refuses command lines that make no sense", function()
    for _, arguments in ipairs {
      {}, { "nonsense" }, { "host:0" }, { "host:65536" }, { ":1" }, { "-c" },
      { "-c", "0", "host:1" }, { "-t", "-1", "host:1" }, { "-d", "x", "host:1" },
    } do
      assert.is_true(example.refuses("health_checker", table.unpack(arguments)))
    end
  end)
end)
