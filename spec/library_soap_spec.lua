-- SPDX-License-Identifier: MIT
--
-- Debian's lua-soap, unmodified, as client and as server on both ends of real HTTP. (lua-xmlrpc
-- needs Lua 5.1's `module` and loads on no later Lua.)

local net = require "spec.support.net"
local peers = require "spec.support.peers"
local soap = peers.require "soap"
local client = peers.require "soap.client"

-- A server that says hello: it decodes with the same library what came over the wire.
local function greeter(before)
  return net.server(function(conn)
    local size
    for line in conn:lines() do
      size = size or tonumber(line:lower():match "^content%-length: (%d+)")
      if line == "" then break end
    end
    local namespace, method, entries = soap.decode(conn:receive(size))
    before()
    local answer = soap.encode { namespace = namespace, method = method .. "Response",
      entries = { { tag = "greeting", "hello " .. entries[1][1] } } }
    conn:send { "HTTP/1.0 200 OK\r\nContent-Length: ", #answer, "\r\n\r\n", answer }
  end)
end

local function greet(port, name)
  local _, method, entries = client.call {
    url = ("http://127.0.0.1:%d/"):format(port), soapaction = "greet",
    namespace = "urn:spec", method = "greet", entries = { { tag = "name", name } },
  }
  assert.equal("greetResponse", method)
  return entries[1][1]
end

describe("lua-soap", function()
  it("calls a method and gets its result", function()
    local port, closer <close> = greeter(function() end)
    assert.is_table(closer)
    assert.equal("hello world", greet(port, "world"))
  end)

  it("makes ten calls at once while a ticker beats", function()
    local ticker <close> = peers.ticker()
    local crowd = peers.crowd(10, ticker)
    local port, closer <close> = greeter(function() crowd:enter() end)
    assert.is_table(closer)
    local greetings = peers.together(10, function(i) return greet(port, tostring(i)) end)
    assert.equal(10, crowd.most)
    for i = 1, 10 do assert.equal("hello " .. i, greetings[i]) end
  end)

  it("raises what the transport says of a server that is not there", function()
    assert.error_matches(function() greet(peers.free_port(), "nobody") end, "connection refused")
  end)
end)
