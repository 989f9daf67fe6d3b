-- SPDX-License-Identifier: MIT
--
-- The second half of the interpreter in Wireshark plugins (see dissector_runtime.lua): structures,
-- and the function that Wireshark calls.

return [==[
-- Structures

-- Scopes lie in a chain, scope.up; c.e is the end of the innermost one whose end is known.
local function see_end(c)
  local scope = c.scope
  while not scope.e do scope = scope.up end
  c.e, c.inner = scope.e, scope.inner
end

local function push(c, e)
  local scope = { e = e, inner = true, up = c.scope }
  c.scope = scope
  see_end(c)
  return scope
end

local function pop(c)
  c.scope = c.scope.up
  see_end(c)
end

local function in_scope(c, e, fields)
  push(c, e)
  walk(fields, c)
  if c.p ~= e + 1 then bad(c, (e - c.p + 1) .. " bytes left over") end
  pop(c)
end

-- The length is a field of the scope itself.
local function own_scope(n, c)
  local start, watch, scope = c.p, c.watch[n.len], push(c, nil)
  c.watch[n.len] = function(v)
    local last, outer = start + v * (n.unit or 1) - 1, scope.up
    while not outer.e do outer = outer.up end
    if last < c.p - 1 then bad(c, "an impossible length") end
    if last > outer.e then
      error({ short = not outer.inner and (n.last and c.d == 0 and last - outer.e or "?") or nil,
        at = c.p }, 0)
    end
    scope.e = last
    see_end(c)
  end
  walk(n.fields, c)
  c.watch[n.len] = watch
  if scope.e and c.p ~= scope.e + 1 then bad(c, "bytes left over") end
  pop(c)
end

function READ.size(n, c)
  if n.inside then return own_scope(n, c) end
  local v = length(n, c) * (n.unit or 1)
  if v < 0 then bad(c, "a negative length") end
  need(c, v, n.last and c.d == 0)
  in_scope(c, c.p + v - 1, n.fields)
end

function READ.scope(n, c)
  local q = find_end(c, n.delim)
  in_scope(c, q - 1, n.fields)
  c.p = q + #n.delim
end

function READ.switch(n, c)
  local v = get(c, n.on)
  local fields = v ~= nil and n.cases[v] or n.cases.default
  if not fields then bad(c, "no case for " .. tostring(v)) end
  walk(fields, c)
end

function READ.when(n, c)
  local v = get(c, n.on)
  local holds = v and v ~= 0
  if n.value ~= nil then holds = v == n.value end
  if holds then walk(n.fields, c) end
end

function READ.optional(n, c)
  if not n.words then
    if c.p <= c.e then walk(n.fields, c) end
    return
  end
  local _, words = c.s:sub(c.p, c.e):gsub("[^ ]+", "")
  if words > n.after then walk(n.fields, c) end
end

local function in_table(n, c, f)
  local m, tree, from = c.m, c.tree, c.p
  c.m = { [0] = m }
  local own = tree and n.f and tree:add(FIELDS[n.f], c.tvb(from - 1, 0))
  if own then c.tree = own end
  f()
  if own then own:set_len(c.p - from) end
  local read = c.m
  c.m, c.tree = m, tree
  return read
end

function READ.record(n, c)
  in_table(n, c, function() walk(n.fields, c) end)
end

function READ.ref(n, c)
  return in_table(n, c, function()
    local at = c.at
    c.at, c.d = c.p, c.d + 1
    if c.d > n.depth then bad(c, "nested too deep") end
    walk(MESSAGES[n.to], c)
    c.at, c.d = at, c.d - 1
  end)
end

function READ.list(n, c)
  local count = (n.len == "rest" or n.len == "till") and 2 ^ 40 or length(n, c)
  if n.absent == count then return end
  local i = 0
  while i < count and not (n.len == "rest" and c.p > c.e) do
    i = i + 1
    local before, item = c.p, nil
    if n.isrecord then
      item = in_table(n, c, function() walk(n.item, c) end)
    else
      item = READ[n.item[1].kind](n.item[1], c)
    end
    if n.till and item[n.till] == n.value then break end
    if c.p == before and count == 2 ^ 40 then bad(c, "an item of no bytes") end
  end
end

function READ.custom(n, c)
  local f = CUSTOM[n.custom]
  if not f then
    if not c.inner then bad(c, "a type without a source for dissectors") end
    return READ.rest(n, c)
  end
  local v, q = f(c.s, c.p, c.e, c.at)
  if v == nil then lack(c) end
  add(c, n, c.p, q - c.p, v)
  c.p = q
end

READ.through = READ.rest

function READ.check(n, c)
  walk(n.fields, c)
  if not n.size then return end
  need(c, n.size)
  add(c, n, c.p, n.size)
  c.p = c.p + n.size
end

walk = function(seq, c)
  for _, n in ipairs(seq) do READ[n.kind](n, c) end
end

-- The place behind the message at p; or nil, and what is lacking or wrong.
local function one(tvb, s, p, e, tree)
  local c = { tvb = tvb, s = s, p = p, e = e, at = p, tree = tree, m = {}, d = 0, watch = {},
    scope = { e = e, inner = not STREAM } }
  c.inner = not STREAM
  local ok, err = pcall(walk, MESSAGES[MAIN], c)
  if ok then return c.p end
  if type(err) ~= "table" then err = { why = tostring(err), at = c.p } end
  return nil, err
end

function proto.dissector(tvb, pinfo, root)
  local s, p, n = tvb:raw(), 1, tvb:len()
  pinfo.cols.protocol = proto.name
  while p <= n do
    local e, err = one(tvb, s, p, n) -- without a tree: a cut message must leave nothing behind
    if e then
      one(tvb, s, p, n, root:add(proto, tvb(p - 1, e - p)))
      if e == p then return end
      p = e
    elseif err.short and STREAM and pinfo.can_desegment > 0 then
      pinfo.desegment_offset = p - 1
      pinfo.desegment_len = type(err.short) == "number" and err.short or DESEGMENT_ONE_MORE_SEGMENT
      return
    else
      local tree = root:add(proto, tvb(p - 1))
      one(tvb, s, p, n, tree)
      tree:add_expert_info(PI_MALFORMED, PI_ERROR,
        (err.why or (err.short and "cut off" or "too short")) .. " at offset " .. (err.at - p))
      return
    end
  end
end
]==]
