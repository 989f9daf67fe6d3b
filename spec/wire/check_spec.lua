-- SPDX-License-Identifier: MIT
--
-- Declarations checked with random messages: round trips, beginnings that are incomplete, changed
-- bytes; and that the check itself finds what is wrong, and shrinks it.

local P = require "spec.wire.protocols"
local wire = require "lariat.wire"
local _ENV = wire.names(_ENV)

local SCALE = tonumber(os.getenv "SCALE") or 1
local RUNS = 100 // SCALE + 1

-- What decodes from other bytes than those that are written.
local SEVERAL_WAYS = {
  dns = "reserved bits, pointers", dns_tcp = "reserved bits, pointers", mqtt = "reserved bits",
  stun = "reserved bits, padding", numbers = "overlong varints, padding",
  request = "spaces around values", response = "spaces around values, leading zeros",
}

local names = {}
for name in pairs(P) do names[#names + 1] = name end
table.sort(names)

describe("random messages", function()
  for _, name in ipairs(names) do
    it("of " .. name .. " come back as they were, whole, in pieces and with a byte changed",
      function()
      wire.check(P[name], { runs = RUNS, canonical = not SEVERAL_WAYS[name] })
    end)
  end

  it("are the same for a seed", function()
    assert.same(P.dns:random(17), P.dns:random(17))
    assert.not_same(P.dns:random(17), P.dns:random(18))
  end)

  it("of types of one's own need a function for that", function()
    local own = custom { name = "own", decode = function(s, p) return s:sub(p, p), p + 1 end,
      encode = function(v) return v end }
    local m = message "m" { own "x" }
    assert.match("check_spec.lua:%d+: own has no function random", select(2, pcall(m.random, m, 1)))
  end)
end)

describe("the check of a declaration", function()
  it("finds a type whose two directions differ, and shows the message", function()
    local wrong = mapped(u8, function(v) return v end, function(v) return v ~ 1 end,
      function() return 200 end)
    local m = message "wrong" { u8 "n", wrong "x", str(u8) "text" }
    local ok, why = pcall(wire.check, m, { runs = 20 })
    assert.is_false(ok)
    assert.match("wrong, seed %d+: decodes to .*x = 201", why)
    assert.match("x = 200", why)
  end)

  it("finds bytes that are read in several ways, in the smallest message", function()
    local m = message "loose" { str(u8) "text", bits(7) "x", bits(1) }
    wire.check(m, { runs = 50 })
    local ok, why = pcall(wire.check, m, { runs = 50, canonical = true })
    assert.is_false(ok)
    assert.match('text = ""', why)
    assert.match("encodes to other bytes", why)
  end)

  it("refuses options that it does not know", function()
    assert.error_matches(function() wire.check(P.mqtt, { run = 5 }) end, "no such option 'run'")
  end)
end)

describe("shrink", function()
  it("finds the smallest message that still fails", function()
    local value = { type = "SUBSCRIBE", packet_id = 777, qos = 2, dup = true,
      filters = { { topic = "abc", qos = 1 }, { topic = "needle here", qos = 2 } } }
    local least = P.mqtt:shrink(value, function(v)
      for _, f in ipairs(v.filters or {}) do
        if f.topic and f.topic:find "needle" then return true end
      end
      return false
    end)
    assert.same({ type = "SUBSCRIBE", packet_id = 0,
      filters = { { topic = "needle", qos = 0 } } }, least)
  end)
end)
