-- SPDX-License-Identifier: MIT
--
-- Decoding what has no fixed size: varints, text up to a delimiter, numbers in text, bytes behind a
-- length, words, headers.

local Decoder = require "lariat.wire.decoder"
local node = require "lariat.wire.node"
local Source = require "lariat.wire.source"
local byte = string.byte
local quote = Source.quote

local NUMBER_SIZE = 32 -- digits and more: no number in text is longer

-- Where a field begins, for the trace of one whose size is known at its end.
function Decoder:beginning()
  return self.mode == "traced" and self:as_variable("p", "p") or nil
end

local function size_since(from)
  return from and "p - " .. from
end

-- Varints ----------------------------------------------------------------------------------------

function Decoder:varint(n)
  local v = self:new_variable "n"
  self:need(1, n)
  self:let(v, "byte(s, p)")
  self:w "p = p + 1"
  self:w("if %s > 127 then %s = %s & 127", v, v, v)
  local b, shift = self:new_variable "b", self:new_variable "b"
  self:let(b .. ", " .. shift, "0, 7")
  self:w "repeat"
  self:need(1, n)
  self:w("%s = byte(s, p) p = p + 1", b)
  self:w("%s = %s | (%s & 127) << %s %s = %s + 7", v, v, b, shift, shift, shift)
  local last = n.most == 10 and ("%s > 63 and %s > 1"):format(shift, b) or
    ("%s >= %d and %s > 127"):format(shift, 7 * n.most, b)
  self:w("if %s then %s end", last, self:fail(n, n.most == 10 and "'more than 64 bits'" or
    quote(("more than %d bytes"):format(n.most)), "p - 1"))
  self:w("until %s < 128 end", b)
  return v
end

function Decoder:quicint(n)
  local v, size = self:new_variable "n", self:new_variable "n"
  self:need(1, n)
  self:let(v, "byte(s, p)")
  self:let(size, ("1 << (%s >> 6)"):format(v))
  self:need(size, n)
  self:w("if %s == 1 then p = p + 1", size)
  for _, width in ipairs { 2, 4, 8 } do
    self:w("%s %s = unpack('>I%d', s, p) & %d p = p + %d",
      width < 8 and ("elseif %s == %d then"):format(size, width) or "else", v, width,
      (1 << 8 * width - 2) - 1, width)
  end
  self:w "end"
  return v
end

local function on_number(read)
  return function(self, n)
    local from = self:beginning()
    local v = read(self, n)
    self:value(n, v, from or "p", size_since(from))
  end
end
Decoder.on_varint = on_number(Decoder.varint)
Decoder.on_quicint = on_number(Decoder.quicint)

-- Text up to a delimiter --------------------------------------------------------------------------

-- The statement that ends the decode for lack of a delimiter: with an error if there is too much
-- without it.
local function no_end(self, n, d, limit)
  if self.scope.inner then return self:lacking(n, "text") end
  return ("if %s - p >= %d then %s end %s"):format(self.scope.e, limit + #d - 1,
    self:fail(n, quote(("no end within %d bytes"):format(limit))), self:lacking(n, "text"))
end

--- Finds a delimiter; returns the variable of where.
function Decoder:find_end(n, d)
  local limit = n.limit or self.message.limit
  local q = self:as_variable("q", ("find(s, %s, p, true)"):format(quote(d)))
  local too_long = self:fail(n, quote(("no end within %d bytes"):format(limit)))
  if self:waits() then
    self:w("if not %s then s, p, e, g, %s = more_upto(s, p, e, %s, %s, %d) end", q, q,
      self:waiting(), quote(d), limit)
    self:w("if not %s then %s end", q, too_long)
  else
    self:w("if not %s or %s + %d > %s then %s end", q, q, #d - 1, self.scope.e,
      no_end(self, n, d, limit))
  end
  self:w("if %s - p > %d then %s end", q, limit, too_long)
  return q
end

-- One or two digits, as most numbers have, are read without match().
local function short_number(self, v, d)
  local c = {}
  for i = 1, #d + 2 do c[i] = self:new_variable "b" end
  self:let(table.concat(c, ", "), ("byte(s, p, p + %d)"):format(#d + 1))
  local function ends(at)
    local parts = {}
    for i = 1, #d do parts[i] = ("%s == %d"):format(c[at + i - 1], byte(d, i)) end
    return table.concat(parts, " and ")
  end
  local function digit(i) return ("%s > 47 and %s < 58"):format(c[i], c[i]) end
  local e = self.scope.e
  self:w("if %s and %s and p + %d <= %s then %s = %s - 48 p = p + %d", ends(2), digit(1), #d, e, v,
    c[1], #d + 1)
  self:w("elseif %s and %s and %s and p + %d <= %s then", ends(3), digit(1), digit(2), #d + 1, e)
  self:w("%s = %s * 10 + %s - 528 p = p + %d", v, c[1], c[2], #d + 2)
end

--- A decimal number up to a delimiter; returns its variable.
function Decoder:number_in_text(n, d)
  local v = self:as_variable("n")
  short_number(self, v, d)
  self:w "else"
  local q = self:as_variable("q")
  local pattern = quote("^(%-?%d+)" .. d:gsub("%p", "%%%0") .. "()")
  local match = ("%s, %s = match(s, %s, p)"):format(v, q, pattern)
  local no_number = self:fail(n, "'not a number'")
  self:w(match)
  self:w("if not %s or %s > %s + 1 then", v, q, self.scope.e)
  local l = self:as_variable("q", ("find(s, %s, p, true)"):format(quote(d)))
  if self:waits() then
    self:w("if not %s then s, p, e, g, %s = more_upto(s, p, e, %s, %s, %d) end", l, l,
      self:waiting(), quote(d), NUMBER_SIZE)
    self:w(match)
    self:w("if not %s then %s end", v, no_number)
  else
    self:w("if not %s or %s + %d > %s then if %s - p >= %d then %s end %s end", l, l, #d - 1,
      self.scope.e, self.scope.e, NUMBER_SIZE + #d - 1, no_number, self:lacking(n, "a number"))
    self:w(no_number)
  end
  self:w "end"
  self:w("if %s - p > %d then %s end", q, NUMBER_SIZE + #d, no_number)
  self:w("%s = tointeger(%s)", v, v)
  self:w("if not %s then %s end", v, self:fail(n, "'number out of range'"))
  self:w("p = %s end", q)
  return v
end

function Decoder:on_upto(n)
  if n.num then
    local from = self:beginning()
    local v = self:number_in_text(n, n.delim)
    self:value(n, v, from or "p", size_since(from))
    return
  end
  local q = self:find_end(n, n.delim)
  self:value(n, ("sub(s, p, %s - 1)"):format(q), "p", ("%s - p"):format(q))
  self:w("p = %s + %d", q, #n.delim)
end

-- Bytes behind a length ---------------------------------------------------------------------------

--- How long, or how many: a number, or a variable. `length`: it has been read with what was before.
function Decoder:length(n, length)
  local len = n.len
  if math.type(len) == "integer" then return len end
  if type(len) == "string" then return self:variable(len) end
  if length then return length.variable end
  local from = self:beginning()
  local own = node.with(len)
  own.name = n.lenname or n.name
  local v = len.kind == "varint" and self:varint(own) or
    len.kind == "quicint" and self:quicint(own) or self:number_in_text(own, len.delim)
  if from then
    self:trace_field({ name = Decoder.length_name(n), kind = len.kind }, v, from, "p - " .. from)
  end
  return v
end

-- The least and the most that a length can say.
local function span(n)
  local len = n.len
  if math.type(len) == "integer" then return len, len end
  local least, most = math.maxinteger, math.mininteger
  for _, field in ipairs(n.lens or { len }) do
    least = math.min(least, field.min or math.mininteger)
    most = math.max(most, field.max or math.maxinteger)
  end
  return least, most
end

--- Refuses a length over its limit, if it can be.
function Decoder:bounded(n, v, limit)
  limit = n.limit or limit or self.message.limit
  local least, most = span(n)
  if least >= 0 and most <= limit then return end
  self:w("if %s > %d%s then %s end", v, limit, least < 0 and (" or %s < 0"):format(v) or "",
    self:fail(n, ("'length ' .. %s .. ' is not within the limit of %d'"):format(v, limit)))
end

-- Bytes that may be absent, or have something behind them.
local function optional_bytes(self, n, v)
  local x = self:define(n, "nil")
  if n.absent then self:w("if %s ~= %d then", v, n.absent) end
  self:bounded(n, v)
  self:need(n.ends and ("(%s + %d)"):format(v, #n.ends) or v, n)
  self:w("%s = sub(s, p, p + %s - 1)", x, v)
  self:trace_field(n, x, "p", v)
  self:w("p = p + %s", v)
  if n.ends then
    self:w("if sub(s, p, p + %d) ~= %s then %s end p = p + %d", #n.ends - 1, quote(n.ends),
      self:fail(n, quote(("%q expected behind it"):format(n.ends))), #n.ends)
  end
  if n.absent then self:w "end" end
end

function Decoder:on_str(n, length)
  local v = self:length(n, length)
  if n.absent or n.ends then return optional_bytes(self, n, v) end
  self:bounded(n, v)
  self:need(v, n)
  self:value(n, ("sub(s, p, p + %s - 1)"):format(v), "p", v)
  self:w("p = p + %s", v)
end

function Decoder:on_rest(n)
  if self:waits() then
    node.complain(n, "%s: '%s' has no end in a stream: put a size around it", self.message.name,
      n.name)
  end
  local e = self.scope.e
  self:value(n, ("sub(s, p, %s)"):format(e), "p", ("%s - p + 1"):format(e))
  self:w("p = %s + 1", e)
end

-- Words ------------------------------------------------------------------------------------------

-- The words from the i-th node on, and whether each is optional.
local function collect_words(nodes, i)
  local words, optional = {}, 0
  while nodes[i] do
    local n = nodes[i]
    local first = n.kind == "optional" and n.fields[1]
    if n.kind == "word" then
      words[#words + 1] = { n = n }
    elseif first and first.kind == "word" then
      for _, f in ipairs(n.fields) do
        if f.kind ~= "word" then node.complain(n, "words and other fields in one 'optional'") end
        words[#words + 1] = { n = f, optional = true }
        optional = optional + 1
      end
    else
      break
    end
    i = i + 1
  end
  return words, optional, i
end

local WORD = "([^ \r\n]*)"

-- In a line all words are matched at once, because a match cannot reach past its end.
local function match_words(self, words)
  local names, from = {}, self:as_variable("p", "p")
  for i, word in ipairs(words) do
    names[i] = self:new_variable "w"
    word.text = names[i]
    word.from = i == 1 and from or ("%s + %d + #%s"):format(from, i - 1,
      table.concat(names, " + #", 1, i - 1))
  end
  local q, e = self:new_variable "q", self.scope.e
  self:let(table.concat(names, ", ") .. ", " .. q, ("match(s, %s, p)"):format(
    quote("^" .. WORD .. (" ?" .. WORD):rep(#words - 1) .. "()")))
  self:w("if %s > %s then p = %s + 1", q, e, e)
  self:w("elseif byte(s, %s) ~= 32 then %s", q, self:fail(words[1].n, "'not a word'"))
  self:w("else p = %s + 1 end", q)
end

-- Cuts off so many words, as far as there are any: "" for one that is not there.
local function cut_words(self, words)
  local e = self.scope.e
  if self.scope.line and self.mode ~= "traced" then return match_words(self, words) end
  for _, word in ipairs(words) do
    word.text, word.from = self:new_variable "w", self:as_variable("p", "p")
    self:let(word.text, "''")
    local q = self:as_variable("q")
    self:w("if p <= %s then", e)
    self:w("%s, %s = match(s, '^([^ \\r\\n]*)()', p)", word.text, q)
    self:w("if %s > %s then %s = sub(s, p, %s) p = %s + 1 else", q, e, word.text, e, e)
    self:w("if byte(s, %s) ~= 32 then %s end", q, self:fail(word.n, "'not a word'"))
    self:w("p = %s + 1 end end", q)
  end
end

local function assign_words(self, words, with_optional)
  local texts = {}
  for i, word in ipairs(words) do texts[i] = { word.text, word.from } end
  local x = 0
  for _, word in ipairs(words) do
    local n = word.n
    if word.optional and not with_optional then
      self:w("%s = nil", self.environment.ahead[n.name])
    else
      x = x + 1
      local text, from = texts[x][1], texts[x][2]
      self:w("if %s == '' then %s end", text, self:fail(n, "'a word is missing'"))
      local value = text
      if n.num then
        value = self:as_variable("r", ("number(%s)"):format(text))
        self:w("if not %s then %s end", value, self:fail(n, "'not a number'", from))
      end
      self:value(n, value, from, "#" .. text)
    end
  end
end

--- A run of words: optional ones are there if there are words enough for all.
function Decoder:on_word(_, _, nodes, i, after, weight)
  local words, optional, following = collect_words(nodes, i)
  if self:waits() then
    node.complain(words[1].n, "%s: a word needs a line or another scope around it",
      self.message.name)
  end
  cut_words(self, words)
  if optional == 0 then
    assign_words(self, words, true)
  else
    local all = {}
    for k, word in ipairs(words) do all[k] = word.n end
    self:declare { all }
    self:w("if %s ~= '' then", words[#words].text)
    assign_words(self, words, true)
    self:w "else"
    assign_words(self, words, false)
    self:w "end"
  end
  self:sequence(nodes, following, after, weight)
  return true
end

-- Headers ----------------------------------------------------------------------------------------

-- Line by line, so that a wrong one is told as soon as it is there.
local function wait_for_headers(self, n, v, q)
  local limit = self.message.limit
  local too_long = self:fail(n, quote(("no end within %d bytes"):format(limit)))
  local start, t, l = self:as_variable("p", "p + g"), self:new_variable "t", self:new_variable "q"
  self:let(t .. ", " .. l)
  self:w("while %s == nil do", v)
  self:w("%s, %s, %s = read_headers(s, p, e, %s)", v, q, t, t)
  self:w("if %s == nil then", v)
  self:w("p = %s s, p, e, g, %s = more_upto(s, p, e, %s, '\\r\\n', %d)", q, l, self:waiting(),
    limit)
  self:w("if not %s or %s + g - %s > %d then %s end end end", l, l, start, limit, too_long)
end

function Decoder:on_headers(n)
  local v, q = self:new_variable "v", self:new_variable "q"
  local limit = self.message.limit
  local read = ("read_headers(s, p, %s)"):format(self.scope.e)
  self:let(v .. ", " .. q, read)
  if self:waits() then
    wait_for_headers(self, n, v, q)
  else
    self:w("if %s == nil then %s end", v, no_end(self, n, "\r\n\r\n", limit))
  end
  self:w("if not %s then %s end", v, self:fail(n, "'not a header'", ("(%s or p)"):format(q)))
  self:value(n, v, "p", ("%s - p"):format(q))
  self:w("p = %s", q)
end

return Decoder
