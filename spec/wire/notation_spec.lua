-- SPDX-License-Identifier: MIT
--
-- What a declaration says: the bytes of each type, structures, what is derived, and the mistakes
-- that are refused.

local wire = require "lariat.wire"
local _ENV = wire.names(_ENV)

local function hex(s)
  return (s:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

-- A message of one field x.
local function one(field)
  return message "one" { field }
end

describe("a type is these bytes:", function()
  local CASES = {
    { "u8", 200, "c8" }, { "u16", 0x0102, "0102" }, { "u24", 0x010203, "010203" },
    { "u32", 0x01020304, "01020304" }, { "u40", 0x0102030405, "0102030405" },
    { "u64", -1, "ffffffffffffffff" }, { "u16le", 0x0102, "0201" }, { "u24le", 0x010203, "030201" },
    { "i8", -1, "ff" }, { "i16", -2, "fffe" }, { "i24le", -2, "feffff" },
      { "i64", -1, "ffffffffffffffff" },
    { "f32", 1.5, "3fc00000" }, { "f64le", -2.0, "00000000000000c0" },
    { "varint", 300, "ac02" }, { "varint", -1, "ffffffffffffffffff01" }, { "varint4", 127, "7f" },
    { "quicint", 37, "25" }, { "quicint", 15293, "7bbd" }, { "quicint", 494878333, "9d7f3e7d" },
    { "quicint", 151288809941952652, "c2197c5eff14e88c" },
    { "zigzag", -2, "03" }, { "zigzag", 2, "04" },
      { "zigzag", math.mininteger, "ffffffffffffffffff01" },
    { "line", "hi", "68690d0a" }, { "cstr", "hi", "686900" }, { "numline", -12, "2d31320d0a" },
    { "ipv4", "192.0.2.1", "c0000201" }, { "ipv6", "2001:db8::1",
      "20010db8000000000000000000000001" },
    { "ipv6", "::", ("00"):rep(16) },
  }
  for _, case in ipairs(CASES) do
    local name, value, bytes = table.unpack(case)
    it(("%s %s is %s"):format(name, value, bytes), function()
      local m = one(wire[name] "x")
      assert.equal(bytes, hex(m:encode { x = value }))
      assert.same({ x = value }, (m:decode(m:encode { x = value })))
    end)
  end

  it("bits from the highest down, or from the lowest up", function()
    local m = message "bits" { bits(3) "a", flag "b", bits(12) "c" }
    assert.equal("b123", hex(m:encode { a = 5, b = true, c = 0x123 }))
    local l = message "lsb" { lsb { bits(3) "a", flag "b", bits(12) "c" } }
    assert.equal("3d12", hex(l:encode { a = 5, b = true, c = 0x123 }))
    for _, x in ipairs { m, l } do
      assert.same({ a = 5, b = true, c = 0x123 },
        (x:decode(x:encode { a = 5, b = true, c = 0x123 })))
    end
  end)

  it("escaped bits, which become wider", function()
    local m = one(escaped(bits(8), { [254] = u16, [255] = u64 }) "x")
    assert.equal("fd", hex(m:encode { x = 253 }))
    assert.equal("fe00fe", hex(m:encode { x = 254 }))
    assert.equal("ff0000000000010000", hex(m:encode { x = 65536 }))
    for _, x in ipairs { 0, 253, 254, 65535, 65536 } do
      assert.equal(x, m:decode(m:encode { x = x }).x)
    end
  end)

  it("names of values, and values without a name", function()
    local m = one(u8 "x" { one = 1, default = "one" })
    assert.same({ x = "one" }, (m:decode "\1"))
    assert.same({ x = 2 }, (m:decode "\2"))
    assert.equal("\1", m:encode {})
    assert.equal("\1\2", m:encode { x = "one" } .. m:encode { x = 2 })
  end)

  it("bytes behind a length of any kind, which may say that there are none", function()
    for _, len in ipairs { u8, u16le, varint, quicint, numline, number(upto " ") } do
      local m = one(str(len) "x")
      for _, x in ipairs { "", "a", ("b"):rep(200) } do
        assert.equal(x, m:decode(m:encode { x = x }).x)
      end
    end
    local m = one(str(numline, { absent = -1, ends = "\r\n" }) "x")
    assert.equal("-1\r\n", m:encode {})
    assert.same({}, (m:decode "-1\r\n"))
    assert.equal("0\r\n\r\n", m:encode { x = "" })
  end)

  it("headers, in a list and by name", function()
    local m = message "head" { headers "h" }
    local t = m:decode "Host: a\r\nX-One: 1\r\nx-one: 2\r\n\r\n"
    assert.same({ "Host", "a" }, t.h[1])
    assert.equal("1, 2", t.h["x-one"])
    assert.equal("Host: a\r\n\r\n", m:encode { h = { Host = "a" } })
    assert.error_matches(function() m:encode { h = { a = "b\r\nc: d" } } end, "header")
  end)

  it("padding and alignment, which are zeros", function()
    local m = message "padded" { u8 "a", padding(2), u8 "b", align(8), u8 "c" }
    assert.equal("010000020000000003", hex(m:encode { a = 1, b = 2, c = 3 }))
    assert.same({ a = 1, b = 2, c = 3 }, (m:decode "\1xx\2xxxx\3"))
  end)
end)

describe("a structure", function()
  it("gets its lengths and counts from what is in it", function()
    local m = message "counts" { u8 "n", u16 "size", list "n" "items" (u8),
      size "size" { rest "x" } }
    local bytes = m:encode { items = { 7, 8 }, x = "abc", n = 99 }
    assert.equal("02000307" .. "08616263", hex(bytes))
    assert.same({ items = { 7, 8 }, x = "abc" }, (m:decode(bytes)))
  end)

  it("counts itself if its length is in it", function()
    local m = message "self" { size "length" { u16 "length", rest "x" } }
    assert.equal("0005616263", hex(m:encode { x = "abc" }))
    assert.same({ x = "abc" }, (m:decode "\0\5abcde"))
    assert.match("impossible", select(2, m:decode "\0\1abc"))
  end)

  it("has fields that depend on others", function()
    local m = message "cases" {
      u8 "kind" { a = 1, b = 2, c = 3 },
      switch "kind" { ["a b"] = { u8 "x" }, c = { u16 "x" }, default = { rest "raw" } },
    }
    assert.equal("0105", hex(m:encode { kind = "a", x = 5 }))
    assert.equal("030005", hex(m:encode { kind = "c", x = 5 }))
    assert.same({ kind = 9, raw = "zz" }, (m:decode "\9zz"))
  end)

  it("sets a flag if what depends on it is there", function()
    local m = message "flagged" { flag "has", bits(7), when "has" { u8 "x" } }
    assert.equal("8005", hex(m:encode { x = 5 }))
    assert.equal("00", hex(m:encode {}))
    assert.same({ has = false }, (m:decode "\0"))
  end)

  it("has what is optional if anything is left", function()
    local m = message "more" { size(u8) { u8 "a", optional { u8 "b" } } }
    assert.equal("0101", hex(m:encode { a = 1 }))
    assert.same({ a = 1, b = 2 }, (m:decode "\2\1\2"))
  end)

  it("contains itself, up to a depth", function()
    local m = message "tree" { depth = 3, list(u8) "children" "tree" }
    local deep = { children = { { children = { { children = {} } } } } }
    assert.same(deep, (m:decode(m:encode(deep))))
    assert.match("nested deeper than 3", select(2, m:decode "\1\1\1\1\1\0"))
    local deeper = { children = { deep } }
    assert.error_matches(function() m:encode { children = { deeper } } end, "nested deeper than 3")
  end)

  it("may have more fields than Lua has variables", function()
    local fields, value = {}, {}
    for i = 1, 400 do
      local name = "f" .. i
      fields[i] = i % 3 == 0 and str(u8) (name) or i % 3 == 1 and u16 (name) or
        record(name) { u8 "x" }
      value[name] = i % 3 == 0 and name or i % 3 == 1 and i or { x = i % 256 }
    end
    for i = 1, 40 do
      fields[400 + i] = switch "f1" { [1] = { str(u8) ("s" .. i) }, default = {} }
      value["s" .. i] = "s"
    end
    local m = message "large" (fields)
    local bytes = m:encode(value)
    assert.same(value, (m:decode(bytes)))
    local feed, got = m:decoder(), {}
    for i = 1, #bytes do
      local messages = assert(feed(bytes:sub(i, i)))
      got[#got + 1] = messages[1]
    end
    assert.same({ value }, got)
    assert.match("f400", m:dump(bytes))
  end)
end)

describe("a mistake in a call", function()
  local m = message "m" { u8 "x" }
  local CASES = {
    ["'decode' %(string expected, got no value%)"] = function() m:decode() end,
    ["'decode' %(position in the string expected%)"] = function() m:decode("a", 3) end,
    ["'dump' %(string expected, got number%)"] = function() m:dump(5) end,
    ["'read' %(stream expected, got no value%)"] = function() m:read() end,
    ["'read' %(stream expected, got number%)"] = function() m:read(5) end,
    ["'messages' %(stream expected, got table%)"] = function() m:messages {} end,
    ["'write' %(stream or datagram socket expected, got no value%)"] = function()
      m:write(nil, { x = 1 })
    end,
    ["'random' %(integer expected, got string%)"] = function() m:random "x" end,
    ["bad self %(lariat.wire message expected, got table%)"] = function() m.encode({}, {}) end,
  }
  for text, f in pairs(CASES) do
    it("is told with the script's line: " .. text, function()
      m:decode "a"
      assert.match("notation_spec.lua:%d+: .*" .. text, select(2, pcall(f)))
    end)
  end
end)

describe("a mistake in a declaration", function()
  local CASES = {
    ["there are two fields 'x'"] = function() message "m" { u8 "x", u16 "x" } end,
    ["nothing is left for y: 'x' before it takes the rest"] = function()
      message "m" { rest "x", u8 "y" }
    end,
    ["nothing is left for z: 'l' before it takes the rest"] = function()
      message "m" { size(u8) { list(rest) "l" (u8), bits(4) "z", bits(4) } }
    end,
    ["no such field before it"] = function() message "m" { str "n" "x" } end,
    ["size names 'n', and there is no such field"] = function()
      message "m" { size "n" { u8 "x" } }
    end,
    ["there is no variable and no type 'u12'"] = function() message "m" { _ENV.u12 "x" } end,
    ["3 bits at the end do not fill a byte"] = function() message "m" { bits(3) "x" } end,
    ["do not fill a byte"] = function() message "m" { bits(3) "x", u8 "y" } end,
    ["a case X, which the field does not know"] = function()
      message "m" { u8 "x" { A = 1 }, switch "x" { X = {} } }
    end,
    ["has two cases A"] = function()
      message "m" { u8 "x" { A = 1 }, switch "x" { A = {}, [1] = {} } }
    end,
    ["the constant 300 does not fit"] = function() message "m" { u8(300) } end,
    ["both %a and %a are 1"] = function() message "m" { u8 "x" { a = 1, b = 1 } } end,
    ["varint needs a name"] = function() message "m" { varint } end,
    ["which is no plain integer"] = function() message "m" { line "n", str "n" "x" } end,
    ["its size must be fixed"] = function() message "m" { size "n" { varint "n", rest "x" } } end,
    ["there is no option 'limits'"] = function() message "m" { limits = 5, u8 "x" } end,
    ["a field expected, got 5"] = function() message "m" { 5 } end,
    ["bits: 1 to 64 expected"] = function() bits(65) end,
    ["str: a number, a field's name or an integer type"] = function() str(f32) end,
    ["option 'absnt'"] = function() str(u8, { absnt = -1 }) end,
    ["option 'unit': a number of bytes expected"] = function() size("n", { unit = 0 }) end,
    ["option 'limits'"] = function() list(u8, { limits = 5 }) end,
    ["a constant of no bytes"] = function() message "m" { "" } end,
    ["the length of another scope already"] = function()
      message "m" { u8 "n", size "n" { rest "a" }, size "n" { rest "b" } }
    end,
  }
  local names = {}
  for text in pairs(CASES) do names[#names + 1] = text end
  table.sort(names)
  for _, text in ipairs(names) do
    it("is told with the script's line: " .. text, function()
      local ok, why = pcall(CASES[text])
      assert.is_false(ok)
      assert.match("notation_spec.lua:%d+: .*" .. text, why)
    end)
  end

  it("that shows at first use is told then", function()
    local m = message "m" { list(u8) "items" "nowhere" }
    assert.match("notation_spec.lua:%d+: there is no message 'nowhere'",
      select(2, pcall(m.decode, m, "\1")))
    local forever = message "forever" { u8 "x", record "r" { message "also" { u8 "y" } "z" } }
    assert.is_table(forever:decode "\1\2")
    local endless = message "endless" { list(1) "items" "endless" }
    assert.error_matches(function() endless:encode {} end, "always contains itself")
  end)

  it("of what a stream cannot have is told by read", function()
    local m = message "m" { u8 "x", rest "y" }
    assert.same({ x = 1, y = "ab" }, (m:decode "\1ab"))
    assert.match("notation_spec.lua:%d+: m: 'y' has no end in a stream",
      select(2, pcall(m.decoder, m)))
  end)

  it("of a length computed from what lies elsewhere is refused", function()
    local m = message "m" { u8 "k", when "k" { u8 "n" }, u32 "pad", size "n" { rest "x" } }
    assert.match("notation_spec.lua:%d+: m: what 'n' is computed from lies outside",
      select(2, pcall(m.encode, m, { k = 1, pad = 0, x = "" })))
  end)
end)

describe("a value that cannot be encoded is told by field:", function()
  local m = message "m" {
    u8 "kind" { a = 1, b = 2 }, bits(4) "four", flag "f", bits(3),
    switch "kind" { a = { str(u8) "text", list(u8) "items" { u16 "x" } },
      b = { bytes(3) "three", line "l" } },
  }
  local function a(t)
    local value = { kind = "a", text = "", items = {} }
    for key, v in pairs(t) do value[key] = v end
    return value
  end
  local CASES = {
    { a { kind = "c" }, "m.kind: there is no value \"c\"" },
    { a { kind = 7 }, "m.kind: no case for 7" },
    { a { four = 16 }, "m.four: 16 does not fit 4 bits" },
    { a { text = ("x"):rep(256) }, "m.a.text: 256 bytes do not fit a length of u8" },
    { a { text = {} }, "m.a.text: string expected, got table" },
    { a { items = { { x = 1 }, { x = 65536 } } },
      "m.a.items%[2%].x: 65536 is out of the range of u16" },
    { a { items = { { x = 1.5 } } }, "m.a.items%[1%].x: integer expected, got 1.5" },
    { a { items = { 5 } }, "m.a.items%[1%]: table expected, got number" },
    { { kind = "b", three = "abcd", l = "" }, "m.b.three: 3 bytes expected, got 4" },
    { { kind = "b", three = "abc", l = "a\r\nb" }, "m.b.l: .* has its delimiter in it" },
    { { kind = "b", tree = "abc", l = "" }, "m.b.three: no value %(there is no field 'tree'%)" },
    { 5, "m: table expected, got number" },
  }
  for _, case in ipairs(CASES) do
    it(case[2], function()
      local ok, why = pcall(m.encode, m, case[1])
      assert.is_false(ok)
      assert.match("^spec/wire/notation_spec.lua:%d+: " .. case[2], (why:gsub("^%./", "")))
    end)
  end
end)

describe("a value that cannot be encoded is told, where it is all that the message has:", function()
  local CASES = {
    { "u8", 256, "one.x: 256 is out of the range of u8" },
    { "u8", nil, "one.x: no value" },
    { "u8", "5", 'one.x: integer expected, got "5"' },
    { "rest", nil, "one.x: no value" },
    { "rest", {}, "one.x: string expected, got table" },
  }
  for _, case in ipairs(CASES) do
    it(("%s %s"):format(case[1], type(case[2])), function()
      assert.error_matches(function() one(wire[case[1]] "x"):encode { x = case[2] } end,
        "^" .. case[3])
    end)
  end
end)

describe("bytes that cannot be decoded are told by field and offset:", function()
  it("a string that its scope cuts off", function()
    local mqtt = require "examples.wire.mqtt"
    local bytes = "\x30\x12\1\x2c" .. ("x"):rep(16)
    assert.same({ nil, "mqtt.remaining.PUBLISH.topic at offset 4: 300 bytes, 16 left" },
      { mqtt:decode(bytes) })
  end)

  it("constants, checksums, lengths over their limit, what is left over", function()
    local m = message "m" { limit = 100, u8(5), str(u16) "x", size(u8, "rest") { u8 "y" },
      check(function(s) return #s & 255 end, u8) { u8 "z" } }
    local function why(s) return select(2, m:decode(s)) end
    assert.equal("m at offset 0: 5 expected, got 6", why "\6\0\0\1\1\1\1")
    assert.equal("m.x at offset 3: length 101 is not within the limit of 100", why "\5\0\101")
    assert.equal("m.rest at offset 5: 1 bytes left over", why "\5\0\0\2\1\1\1\1")
    assert.equal("m.checksum at offset 6: checksum does not match", why "\5\0\0\1\1\1\9")
    assert.same({ nil, "m.x: incomplete, at least 2 bytes more", 2 }, { m:decode "\5\0\3a" })
  end)

  it("a length over the limit takes no memory", function()
    local m = message "m" { str(u64) "x" }
    local before = collectgarbage "count"
    assert.match("limit of 16777216", select(2, m:decode(("\xff"):rep(8))))
    assert.match("limit of 16777216", select(2, m:decode("\0\0\0\1" .. ("\xff"):rep(4))))
    assert.is_true(collectgarbage "count" - before < 1024)
  end)

  it("an item of no bytes, which there could be for ever", function()
    local m = message "m" { u8 "x", size(u8) { list(rest) "items" { when "x" { u8 "y" } } } }
    assert.same({ x = 1, items = { { y = 7 } } }, (m:decode "\1\1\7"))
    assert.equal("m.items[1] at offset 2: an item of no bytes", select(2, m:decode "\0\1\7"))
  end)
end)
