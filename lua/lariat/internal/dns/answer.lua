-- SPDX-License-Identifier: MIT
--
-- What an answer says. Only records that the question leads to are believed: those of its name, or
-- of the name at the end of a chain of aliases (CNAME) that begins with it. What a server says
-- unasked is not looked at.

local answer = {}

local LONGEST_TTL = 86400    -- seconds
local LONGEST_NEGATIVE = 3600 -- RFC 2308, section 5: one to three hours
local MOST_ALIASES = 16

-- RFC 2181, section 8: a TTL with the highest bit is 0.
local function seconds(ttl)
  return ttl < 1 << 31 and math.min(ttl, LONGEST_TTL) or 0
end

--- Is this an answer to that question? Servers repeat the question; its letters may be in another
--- case only if `folded`.
---@param m table the message
---@param question table { id =, name =, type = }
---@return boolean answers
---@return boolean exactly also the letters are as they were sent
function answer.is_to(m, question)
  local q = m.questions[1]
  if m.id ~= question.id or not m.qr or m.opcode ~= "QUERY" then return false, false end
  if not q then return m.rcode == "FORMERR" or m.rcode == "NOTIMP", true end
  local name = q.name
  if m.questions[2] or q.type ~= question.type or q.class ~= "IN" or
      name:lower() ~= question.name:lower() then
    return false, false
  end
  return true, name == question.name
end

-- By name in lower case: the records of a type, and the aliases.
local function sort(m, kind)
  local found, aliases = {}, {}
  for _, record in ipairs(m.answers) do
    local name = record.name:lower()
    if record.class == "IN" and record.type == kind then
      found[name] = found[name] or {}
      table.insert(found[name], record)
    elseif record.class == "IN" and record.type == "CNAME" then
      aliases[name] = aliases[name] or record
    end
  end
  return found, aliases
end

-- RFC 2308: for how long it is known that there is nothing. Without an SOA it is not known at all.
local function negative_ttl(m)
  for _, record in ipairs(m.authorities) do
    if record.type == "SOA" then
      return math.min(seconds(record.ttl), seconds(record.minimum), LONGEST_NEGATIVE)
    end
  end
  return 0
end

--- What a message says about a name.
---@param m table with rcode NOERROR or NXDOMAIN
---@param name string
---@param kind string the type
---@return table said { records =, canonical =, ttl = }; or { failure = "NXDOMAIN" | "NODATA",
--- ttl =, aliased = }, of the name at the end of aliases; or { follow = name, ttl = }: ask for that
---@return string? message the answer makes no sense
function answer.read(m, name, kind)
  local found, aliases = sort(m, kind)
  local ttl, at = LONGEST_TTL, name
  for _ = 0, MOST_ALIASES do
    local records = found[at:lower()]
    if records then
      for _, record in ipairs(records) do ttl = math.min(ttl, seconds(record.ttl)) end
      return { records = records, canonical = at, ttl = ttl }
    end
    local alias = aliases[at:lower()]
    if not alias then
      if m.rcode == "NXDOMAIN" then
        return { failure = "NXDOMAIN", ttl = math.min(ttl, negative_ttl(m)), aliased = at ~= name }
      elseif at ~= name then
        return { follow = at, ttl = ttl }
      end
      return { failure = "NODATA", ttl = negative_ttl(m) }
    end
    at, ttl = alias.target, math.min(ttl, seconds(alias.ttl))
  end
  return nil, "too many aliases"
end

return answer
