-- SPDX-License-Identifier: MIT
--
-- What the commands that redis/reader.lua reads consist of. What is usual is looked up, which is
-- faster than to parse it.

local syntax = {
  LONGEST_LINE = 64 * 1024,
  LONGEST_WORD = 16 * 1024 * 1024,
  MOST_STRINGS = 1024 * 1024, -- in one command
  LARGEST = 64 * 1024 * 1024, -- bytes of one command
}

--- The number in a line such as "*3" or "$5", or nil.
function syntax.length_in(line)
  return math.tointeger(line:match "^.(%-?%d+)\r?$")
end

--- The words of a line typed by hand.
function syntax.words_in(line)
  local words = {}
  for word in line:gmatch "%S+" do words[#words + 1] = word end
  return words
end

-- The four bytes with which a short string or list begins, and what they say: "$5\r\n" -> 5,
-- "$12\r" -> 12.
local sizes, counts = {}, {}
for size = 0, 99 do sizes[("$" .. size .. "\r\n"):sub(1, 4)] = size end
for count = 1, 9 do counts["*" .. count .. "\r\n"] = count end

-- Then a whole beginning, up to the length of the second word: "*2\r\n$3\r\nGET\r\n$16\r", 17 bytes
-- if the name has three letters, 18 if four. It says what the words are and where the second lies.
local beginnings = {}
for name, count in pairs { GET = 2, DEL = 2, TTL = 2, INCR = 2, DECR = 2, SET = 3 } do
  for head, size in pairs(sizes) do
    local text = ("*%d\r\n$%d\r\n%s\r\n%s"):format(count, #name, name, head)
    local first = #text + (size < 10 and 0 or 1)
    local words = count == 2 and { name, "" } or { name, "", "" }
    beginnings[text] = { words = words, whole = count == 2, first = first, rest = first + size + 2 }
  end
end

syntax.sizes, syntax.counts, syntax.beginnings = sizes, counts, beginnings
return syntax
