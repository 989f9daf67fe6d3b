-- SPDX-License-Identifier: MIT
--
-- Types: numbers, bits, text and bytes, each a node that has no name yet.

local misuse = require "lariat.misuse"
local node = require "lariat.wire.node"
local new, with = node.new, node.with

local types = {}

-- Numbers ----------------------------------------------------------------------------------------

local function integer(name, size, signed, little)
  local bits = size * 8
  local n = new("int", { type = name, size = size, signed = signed, le = little,
    fmt = (little and "<" or ">") .. (signed and "i" or "I") .. size })
  n.max = size == 8 and math.maxinteger or (1 << (signed and bits - 1 or bits)) - 1
  n.min = size == 8 and math.mininteger or signed and -(1 << (bits - 1)) or 0
  return n
end

for size = 1, 8 do
  local bits = size * 8
  types["u" .. bits] = integer("u" .. bits, size, false, false)
  types["i" .. bits] = integer("i" .. bits, size, true, false)
  if size > 1 then
    types["u" .. bits .. "le"] = integer("u" .. bits .. "le", size, false, true)
    types["i" .. bits .. "le"] = integer("i" .. bits .. "le", size, true, true)
  end
end

local function float(name, size, fmt)
  return new("float", { type = name, size = size, fmt = fmt, le = fmt:sub(1, 1) == "<" })
end

types.f32, types.f64 = float("f32", 4, ">f"), float("f64", 8, ">d")
types.f32le, types.f64le = float("f32le", 4, "<f"), float("f64le", 8, "<d")

--- Seven bits in each byte, the lowest first; the high bit says that another byte follows.
types.varint = new("varint", { type = "varint", most = 10 })
types.varint4 = new("varint", { type = "varint4", most = 4, max = (1 << 28) - 1, min = 0 })
--- QUIC's: the first two bits say whether it has 1, 2, 4 or 8 bytes.
types.quicint = new("quicint", { type = "quicint", max = (1 << 62) - 1, min = 0 })

-- Bits -------------------------------------------------------------------------------------------

--- An unsigned number of some bits. Neighbours share bytes, the highest bits first.
---@param w integer 1 to 64
function types.bits(w)
  if math.type(w) ~= "integer" or w < 1 or w > 64 then
    node.refuse("bits: 1 to 64 expected, got %s", tostring(w))
  end
  return new("bits", { type = ("bits(%d)"):format(w), w = w,
    max = w < 63 and (1 << w) - 1 or math.maxinteger, min = w == 64 and math.mininteger or 0 })
end

--- One bit, true or false.
types.flag = new("bits", { type = "flag", w = 1, bool = true, max = 1, min = 0 })

--- Neighbouring bit fields that fill their bytes from the lowest bit up, the first byte first.
function types.lsb(fields)
  local list = {}
  for i, f in ipairs(fields) do
    if not node.is(f) or f.kind ~= "bits" then
      node.refuse "lsb: only bits and flags can be in it"
    end
    list[i] = with(f)
    list[i].lsb = true
  end
  return list
end

--- A number of some bits of which certain values say that the number follows, as a larger type.
---@param base lariat.wire.Node bits, the last ones of their byte
---@param wider table<integer, lariat.wire.Node>
function types.escaped(base, wider)
  if not node.is(base) or base.kind ~= "bits" then node.refuse "escaped: bits expected" end
  local codes = {}
  for code, wide in pairs(wider) do
    if math.type(code) ~= "integer" or code > base.max or code < 1 or not node.is(wide) or
        wide.kind ~= "int" or wide.signed then
      node.refuse "escaped: values of the bits, each with an unsigned integer type, expected"
    end
    codes[#codes + 1] = code
  end
  if not codes[1] then node.refuse "escaped: no value that says that the number follows" end
  table.sort(codes)
  local n = with(base, "wide", wider)
  n.codes, n.max, n.min = codes, math.maxinteger, 0
  n.type = ("escaped(%s)"):format(base.type)
  return n
end

-- Bytes and text ---------------------------------------------------------------------------------

local LENGTHS = { int = true, varint = true, quicint = true, upto = true }

local function check_length(what, len)
  local good = type(len) == "string" or math.type(len) == "integer" and len >= 0 or
    node.is(len) and LENGTHS[len.kind] and (len.kind ~= "upto" or len.num)
  if not good then
    node.refuse("%s: a number, a field's name or an integer type expected, got %s", what,
      node.is(len) and node.title(len) or tostring(len))
  end
end
types.check_length = check_length

--- Exactly so many bytes.
function types.bytes(size)
  if math.type(size) ~= "integer" or size < 0 then
    node.refuse("bytes: a number of bytes expected, got %s", tostring(size))
  end
  return new("bytes", { type = ("bytes(%d)"):format(size), size = size })
end

--- What is left of the scope around it.
types.rest = new("rest", { type = "rest" })

local STR_OPTIONS = { absent = "integer", ends = "string", limit = "integer" }

--- Bytes behind their length.
---@param len lariat.wire.Node|string|integer a type: the length comes right before; a field's name
---@param options? {absent?: integer, ends?: string, limit?: integer}
function types.str(len, options)
  if node.is(len) and len.kind == "rest" then return types.rest end
  check_length("str", len)
  if math.type(len) == "integer" then return types.bytes(len) end
  local o = misuse.check_options(2, "str", options or {}, STR_OPTIONS)
  if o.ends == "" then node.refuse "str: option 'ends': at least a byte expected" end
  local name = type(len) == "string" and len or node.title(len)
  return new("str", { type = ("str(%s)"):format(name), len = len, absent = o.absent,
    ends = o.ends, limit = o.limit })
end

--- Text up to a delimiter. With fields: a scope that ends at the delimiter.
function types.upto(delimiter)
  if type(delimiter) ~= "string" or delimiter == "" then
    node.refuse "upto: a delimiter of at least a byte expected"
  end
  return new("upto", { type = ("upto(%s)"):format(node.quote(delimiter)), delim = delimiter })
end

types.line, types.cstr = types.upto "\r\n", types.upto "\0"
types.line.type, types.cstr.type = "line", "cstr"

--- Text up to a space or the end of the scope around it.
types.word = new("word", { type = "word" })

--- A decimal number, written as one of the text types.
function types.number(text)
  if not node.is(text) or text.kind ~= "upto" and text.kind ~= "word" then
    node.refuse "number: word, line or upto expected"
  end
  local n = with(text, "num", true)
  n.type = ("number(%s)"):format(text.type)
  return n
end

types.numline = types.number(types.line)
types.numline.type = "numline"

--- Names and values up to an empty line, as in HTTP and mail.
types.headers = new("headers", { type = "headers" })

--- Bytes that nobody reads; zeros are written.
function types.padding(size)
  local n = types.bytes(size)
  n.skip, n.type = true, ("padding(%d)"):format(size)
  return n
end

--- Padding up to a multiple of so many bytes, counted from the message's first.
function types.align(n)
  if math.type(n) ~= "integer" or n < 1 then node.refuse "align: a number of bytes expected" end
  return new("align", { type = ("align(%d)"):format(n), n = n })
end

-- Types of one's own -----------------------------------------------------------------------------

local MAPPED = { int = true, bytes = true, bits = true, varint = true, quicint = true, str = true,
  rest = true, upto = true, word = true }

--- A type whose values are shown to the script as something else.
---@param base lariat.wire.Node
---@param to fun(raw: any): any raises or returns nil if the raw value makes no sense
---@param from fun(value: any): any
---@param random? fun(r: fun(n: integer): integer): any a value, for m:random
function types.mapped(base, to, from, random)
  if not node.is(base) or not MAPPED[base.kind] then node.refuse "mapped: a type expected" end
  local n = with(base, "to", to)
  n.from, n.gen = from, random
  return n
end

--- A type that a script decodes and encodes: see docs/wire.md.
---@param definition lariat.wire.Custom
function types.custom(definition)
  if type(definition) ~= "table" or type(definition.decode) ~= "function" or
      type(definition.encode) ~= "function" then
    node.refuse "custom: a table with the functions decode and encode expected"
  end
  return new("custom", { type = definition.name or "custom", def = definition })
end

return types
