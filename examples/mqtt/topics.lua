-- SPDX-License-Identifier: MIT
--
-- The topics of mqtt_broker.lua: who has subscribed to what, and which messages are kept. Both are
-- in a tree of levels, so that a message costs what it reaches and not what there is.
--
--   node: children (level -> node), qos (session -> quality), kept (a message), parent, level

local topics = {}

local root = { children = {}, qos = {} }

local function levels_of(topic)
  local levels = {}
  for level in (topic .. "/"):gmatch "([^/]*)/" do levels[#levels + 1] = level end
  return levels
end

--- Is it the name of a topic, without wildcards?
function topics.is_name(topic)
  return topic ~= "" and not topic:find "[+#%z]"
end

-- "+" is a level of its own, "#" the last one.
local function is_filter(levels)
  for i, level in ipairs(levels) do
    if level:find "%z" or level:find "[+#]" and #level > 1 then return false end
    if level == "#" and i < #levels then return false end
  end
  return #levels > 1 or levels[1] ~= ""
end

local function node_at(levels)
  local node = root
  for _, level in ipairs(levels) do
    local child = node.children[level]
    if not child then
      child = { children = {}, qos = {}, parent = node, level = level }
      node.children[level] = child
    end
    node = child
  end
  return node
end

-- Nodes of which nothing is left go.
local function prune(node)
  while node.parent and not (next(node.children) or next(node.qos) or node.kept) do
    node.parent.children[node.level] = nil
    node = node.parent
  end
end

function topics.subscribe(session, filter, qos)
  local levels = levels_of(filter)
  if not is_filter(levels) then return false end
  node_at(levels).qos[session] = qos
  session.filters[filter] = true
  return true
end

function topics.unsubscribe(session, filter)
  if not session.filters[filter] then return end
  session.filters[filter] = nil
  local node = node_at(levels_of(filter))
  node.qos[session] = nil
  prune(node)
end

-- Calls visit(node) for each node that a topic's levels, or a filter's, lead to. Wildcards do not
-- stand for topics that begin with "$".
local function collect(node, levels, i, visit)
  local level = levels[i]
  local hidden = i == 1 and level and level:sub(1, 1) == "$"
  if not hidden and node.children["#"] then visit(node.children["#"]) end
  if not level then return visit(node) end
  if node.children[level] then collect(node.children[level], levels, i + 1, visit) end
  if not hidden and node.children["+"] then collect(node.children["+"], levels, i + 1, visit) end
end

--- Who wants messages of a topic: session -> quality, the best of its subscriptions.
function topics.subscribers(topic)
  local found = {}
  collect(root, levels_of(topic), 1, function(node)
    for session, qos in pairs(node.qos) do found[session] = math.max(found[session] or 0, qos) end
  end)
  return found
end

--- Keeps a message for those who subscribe later; an empty one takes it away.
function topics.retain(message)
  local node = node_at(levels_of(message.topic))
  node.kept = message.payload ~= "" and message or nil
  prune(node)
end

local function collect_kept(node, levels, i, found)
  local level = levels[i]
  if not level or level == "#" then
    if node.kept then found[#found + 1] = node.kept end
    if not level then return end
  end
  for name, child in pairs(node.children) do
    local shown = node ~= root or name:sub(1, 1) ~= "$"
    if level == "#" and shown then
      collect_kept(child, levels, i, found)
    elseif name == level or level == "+" and shown then
      collect_kept(child, levels, i + 1, found)
    end
  end
end

--- The kept messages that a filter asks for.
function topics.retained(filter)
  local found = {}
  collect_kept(root, levels_of(filter), 1, found)
  return found
end

return topics
