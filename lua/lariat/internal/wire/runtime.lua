-- SPDX-License-Identifier: MIT
--
-- The functions that compiled messages call: errors of decoding, waiting for more bytes, and a few
-- types whose code is not worth repeating in each message.
--
-- A decoder returns its value and the next position; or nil and an Err; or nil, the position up to
-- which the string must reach at least, and what was to be decoded there.

local usage = require "lariat.internal.usage"
local registry = require "lariat.internal.wire.registry"
local byte, char, find, match, sub = string.byte, string.char, string.find, string.match, string.sub
local concat, pack = table.concat, string.pack
local tointeger, yield = math.tointeger, coroutine.yield

local runtime = { too_long = registry.too_long }

-- Errors -----------------------------------------------------------------------------------------

---@class lariat.wire.Err
---@field path string
---@field at integer offset from the message's first byte, 0 for that
---@field why string
local Err = {}
Err.__tostring = function(e) return ("%s at offset %d: %s"):format(e.path, e.at, e.why) end

--- What is wrong at p. `info` is { path, what }; the path gets the numbers of the items it lies in.
function runtime.bad(info, p, at, why, ...)
  return setmetatable({ path = info[1]:format(...), at = p - at, why = why }, Err)
end
local bad = runtime.bad

--- Of a constant.
function runtime.expected(constant, got)
  if type(constant) ~= "string" then return ("%d expected, got %d"):format(constant, got) end
  return ("%q expected, got %q"):format(constant, got)
end

--- k bytes do not fit the scope that ends at e.
function runtime.cut(info, p, e, k, at, ...)
  return bad(info, p, at, ("%d bytes, %d left"):format(k, e - p + 1), ...)
end

--- An error of a nested message, as seen from outside. `err` may be the position that it lacks:
--- then the scope that it lies in, up to e, has ended too early.
function runtime.nest(err, info, e, at, sub_at, ...)
  if type(err) == "number" then
    return bad(info, e + 1, at, ("ends %d bytes early"):format(err - e), ...)
  end
  err.path = info[1]:format(...) .. err.path:gsub("^[^.]*", "", 1)
  err.at = err.at + sub_at - at
  return err
end

-- Of the method decode, which tells a script all this in words.
local direct = {}
runtime.direct = direct

for _, name in ipairs { "bad", "cut", "nest" } do
  local f = runtime[name]
  direct[name] = function(...) return tostring(f(...)) end
end

--- A message that is cut.
function runtime.lacking(s, position, info)
  local lacking = position - #s
  local path = info[1]:gsub("%[%%d%]", ""):gsub("%%%%", "%%")
  return nil, ("%s: incomplete, at least %d bytes more"):format(path, lacking), lacking
end

--- The arguments of decode.
function runtime.check_decode(s, at)
  if type(s) ~= "string" then usage.type(1, "decode", "string", s, s == nil) end
  if at ~= nil and (math.type(at) ~= "integer" or at < 1 or at > #s + 1) then
    usage.argument(2, "decode", "position in the string expected")
  end
end

-- Waiting ----------------------------------------------------------------------------------------

-- Bytes about to be dropped from s are kept for the checksums that are still being read.
local function keep_for_checks(check, s, p)
  while check do
    check[#check + 1] = sub(s, check.skip + 1, p - 1)
    check.skip = 0
    check = check.up
  end
end

local function shifted(s, p, g, keep)
  if keep then return s, p, #s, g end
  return s, 1, #s, g + p - 1
end

--- In the coroutine of a resumable decode: waits until k bytes are there from p on. What lies
--- before p is dropped, unless `keep`; g counts what has been dropped.
---@return string s, integer p, integer e, integer g
function runtime.more(s, p, k, e, g, check, keep)
  local have, parts = e - p + 1, { sub(s, keep and 1 or p, e) }
  if check and not keep then keep_for_checks(check, s, p) end
  repeat
    local x = yield(k - have)
    parts[#parts + 1] = x
    have = have + #x
  until have >= k
  return shifted(concat(parts), p, g, keep)
end

--- The same, until a delimiter is there: its position follows the other results; or nil, once
--- more than `limit` bytes have come without it.
function runtime.more_upto(s, p, e, g, check, keep, d, limit)
  local have, parts = e - p + 1, { sub(s, keep and 1 or p, e) }
  local tail = #d > 1 and sub(s, math.max(p, e - #d + 2), e) or ""
  if check and not keep then keep_for_checks(check, s, p) end
  while have < limit + #d do
    local x = yield(1)
    parts[#parts + 1] = x
    have = have + #x
    tail = tail .. x
    if find(tail, d, 1, true) then break end
    tail = #d > 1 and sub(tail, -#d + 1) or ""
  end
  s, p, e, g = shifted(concat(parts), p, g, keep)
  return s, p, e, g, find(s, d, p, true)
end

--- The bytes of a check, from where it began to p.
function runtime.checked(check, s, p)
  check[#check + 1] = sub(s, check.skip + 1, p - 1)
  return concat(check)
end

-- Numbers ----------------------------------------------------------------------------------------

local B = {}
for i = 0, 255 do B[i] = char(i) end
runtime.B = B

function runtime.varint(v)
  if v >= 0 and v < 128 then return B[v] end
  local t = {}
  repeat
    local b = v & 127
    v = v >> 7
    t[#t + 1] = B[v ~= 0 and b | 128 or b]
  until v == 0
  return concat(t)
end

function runtime.quicint(v)
  if v < 0 or v >> 62 ~= 0 then error("out of range", 0) end
  return v < 64 and B[v] or v < 16384 and pack(">I2", v | 0x4000) or
    v < 1 << 30 and pack(">I4", v | 0x80000000) or pack(">I8", v | 0xc0 << 56)
end

--- The number that a word says, or nil.
function runtime.number(w)
  local a, b, c = byte(w, 1, 3)
  if not b then return a and a > 47 and a < 58 and a - 48 or nil end
  if not c and a > 47 and a < 58 and b > 47 and b < 58 then return a * 10 + b - 528 end
  return match(w, "^%-?%d+$") and tointeger(w)
end

-- Text -------------------------------------------------------------------------------------------

--- A word to be written, or an error.
function runtime.token(v)
  if not find(v, "^[^ \r\n]+$") then error("not a word", 0) end
  return v
end

--- Names and values up to an empty line, up to e, added to t.
---@return table|false|nil headers nil: it is not all there; false: something is wrong
---@return integer next or where it is wrong, or where the line begins that is not all there
---@return table? t those before it
function runtime.read_headers(s, p, e, t)
  t = t or {}
  while true do
    local name, value, q = match(s, "^([^:\r\n]+):[ \t]*([^\r\n]*)\r\n()", p)
    if name and q <= e + 1 then
      t[#t + 1] = { name, value }
      local key = name:lower()
      t[key] = t[key] and t[key] .. ", " .. value or value
      p = q
    else
      local a, b = byte(s, p, p + 1)
      if a == 13 and b == 10 and p + 1 <= e then return t, p + 2 end
      local l = find(s, "\r\n", p, true)
      if not l or l + 1 > e then return nil, p, t end
      return false, p
    end
  end
end

local function put_header(out, name, value)
  value = tostring(value)
  if type(name) ~= "string" or not find(name, "^[^:\r\n]+$") or find(value, "[\r\n]") or
      find(value, "^[ \t]") then
    error("not a header", 0)
  end
  out[#out + 1] = name .. ": " .. value .. "\r\n"
end

--- Headers as they are written: a list of { name, value }, or a table in the order of its names.
function runtime.write_headers(t)
  local out = {}
  if t[1] then
    for i = 1, #t do put_header(out, t[i][1], t[i][2]) end
  else
    local names = {}
    for name in pairs(t) do names[#names + 1] = name end
    table.sort(names)
    for _, name in ipairs(names) do put_header(out, name, t[name]) end
  end
  out[#out + 1] = "\r\n"
  return concat(out)
end

return runtime
