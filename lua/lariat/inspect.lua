-- SPDX-License-Identifier: MIT
--
-- Values as text that a person reads at the prompt: a table as its constructor would be written,
-- the list first and then the other keys, sorted; on one line if that is short.
--
-- Invariant: the text is bounded, whatever the value: in depth, in entries of a table and
-- altogether, and in the length of strings. No metamethod is called but __tostring, which replaces
-- the content.

local ENTRIES = { 100, 20, 10 } -- of a table, of one in it, of one in that; deeper ones stay closed
local ALTOGETHER = 150 -- entries after which tables in tables stay closed
local SORTED = 10000 -- keys of a table; of one that has more, some are shown
local WIDTH = 79 -- what fits is put on one line
local SHORT = 15 -- bytes of an entry that shares its line with others
local STRING = 200 -- bytes, also of what __tostring returns

local RESERVED = {}
for word in ("and break do else elseif end false for function goto if in local nil not or repeat "
  .. "return then true until while"):gmatch "%a+" do RESERVED[word] = true end

local ESCAPES = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ['"'] = '\\"', ["\\"] = "\\\\" }

local function escape(byte)
  return ESCAPES[byte] or ("\\x%02X"):format(byte:byte())
end

-- Cut, between two characters if it is UTF-8; and what was cut.
local function shorten(text)
  if #text <= STRING then return text, "" end
  return text:sub(1, utf8.len(text) and utf8.offset(text, 0, STRING + 1) - 1 or STRING), "..."
end

local function quoted(text)
  local begin, rest = shorten(text)
  local unprintable = utf8.len(begin) and '[%c"\\]' or '[%c"\\\x80-\xFF]'
  return '"' .. begin:gsub(unprintable, escape) .. '"' .. rest
end

local function unquoted(text)
  local begin, rest = shorten(text)
  return begin:gsub("%c", escape) .. rest
end

local ORDER = { number = 1, string = 2, boolean = 3 }

-- Numbers, then strings, then the rest by their types and addresses.
local function before(a, b)
  local kind_a, kind_b = type(a), type(b)
  if kind_a ~= kind_b then
    local order_a, order_b = ORDER[kind_a] or 4, ORDER[kind_b] or 4
    if order_a ~= order_b then return order_a < order_b end
    return kind_a < kind_b
  end
  if ORDER[kind_a] == 1 or ORDER[kind_a] == 2 then return a < b end
  return ("%s%p"):format(a == true, a) < ("%s%p"):format(b == true, b)
end

local function tostring_of(value)
  local metatable = debug.getmetatable(value)
  return type(metatable) == "table" and rawget(metatable, "__tostring") ~= nil
end

local write -- (state, value, depth) -> text

local function write_key(state, key)
  if type(key) == "string" and key:find "^[%a_][%w_]*$" and not RESERVED[key] then return key end
  return "[" .. write(state, key, #ENTRIES) .. "]"
end

-- The entries as texts: those of the list, and the others by key.
local function write_entries(state, value, depth)
  local texts, keys, length = {}, {}, rawlen(value)
  local count, shown, most = 0, 0, ENTRIES[depth]
  while rawget(value, shown + 1) ~= nil and shown < length and shown < most do
    shown = shown + 1
    texts[shown] = write(state, rawget(value, shown), depth)
  end
  for key in next, value do
    count = count + 1
    local listed = math.type(key) == "integer" and key >= 1 and key <= shown
    if not listed and #keys < SORTED then keys[#keys + 1] = key end
  end
  table.sort(keys, before)
  for _, key in ipairs(keys) do
    if shown == most then break end
    shown = shown + 1
    texts[shown] = write_key(state, key) .. " = " .. write(state, rawget(value, key), depth)
  end
  if count > shown then texts[#texts + 1] = ("... %d more"):format(count - shown) end
  return texts
end

-- One entry a line, or, where all are short, as many as fit.
local function in_lines(texts, indent)
  local lines, line = {}, nil
  local longest = 0
  for _, text in ipairs(texts) do longest = math.max(longest, #text) end
  for _, text in ipairs(texts) do
    if line and longest <= SHORT and #indent + #line + 2 + #text < WIDTH then
      line = line .. ", " .. text
    else
      lines[#lines + 1], line = line, text
    end
  end
  lines[#lines + 1] = line
  return indent .. table.concat(lines, ",\n" .. indent)
end

-- "name " of an object whose class has one, or "".
local function class_of(value)
  local metatable = debug.getmetatable(value)
  local name = type(metatable) == "table" and rawget(metatable, "__name")
  return type(name) == "string" and name .. " " or ""
end

local function write_table(state, value, depth)
  local class = class_of(value)
  if next(value) == nil then return class .. "{}" end
  if state.within[value] then return class .. "{...} --[[ itself ]]" end
  if depth >= #ENTRIES or state.left <= 0 then return class .. "{...}" end
  state.within[value] = true
  local texts = write_entries(state, value, depth + 1)
  state.within[value] = nil
  state.left = state.left - #texts
  local line = class .. "{ " .. table.concat(texts, ", ") .. " }"
  if #line + 2 * depth <= WIDTH and not line:find "\n" then return line end
  local last = ("  "):rep(depth)
  return class .. "{\n" .. in_lines(texts, last .. "  ") .. ",\n" .. last .. "}"
end

function write(state, value, depth)
  if type(value) == "string" then return quoted(value) end
  if type(value) ~= "table" or tostring_of(value) then
    return unquoted(tostring(value))
  end
  return write_table(state, value, depth)
end

--- The text of a value: a table that has no __tostring with its content, all else as by tostring.
---@param value any
---@return string
return function(value)
  if type(value) ~= "table" or tostring_of(value) then return tostring(value) end
  return write({ within = {}, left = ALTOGETHER }, value, 0)
end
