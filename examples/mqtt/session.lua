-- SPDX-License-Identifier: MIT
--
-- What mqtt_broker.lua does with each message of a client that has introduced itself.
--
--   session: id, conn, queue (of messages for the client), filters, unreleased (ids of messages of
--   quality 2 that have been published), last_id, will, write

local topics = require "mqtt.topics"

local session = {}

-- Hands a message to a session. A client that is too slow holds up nobody: it misses the message,
-- or, if that was promised to arrive, it is hung up on.
local function deliver(to, m, qos, retain)
  local out = { type = "PUBLISH", qos = math.min(qos, m.qos), retain = retain, topic = m.topic,
    payload = m.payload }
  if out.qos > 0 then
    to.last_id = to.last_id % 0xffff + 1
    out.packet_id = to.last_id
  end
  if not to.queue:send(out, 0) and out.qos > 0 then to.conn:close() end
end

--- Hands a message to all who want it.
---@param m table a PUBLISH
function session.publish(m)
  if m.retain then topics.retain(m) end
  for to, qos in pairs(topics.subscribers(m.topic)) do deliver(to, m, qos, false) end
end

-- By type: f(self, message) -> false: hang up

function session.PUBLISH(self, m)
  if not topics.is_name(m.topic) or m.qos > 2 then return false end
  if m.qos == 2 then
    if not self.unreleased[m.packet_id] then session.publish(m) end -- else it is a repetition
    self.unreleased[m.packet_id] = true
    return self:write { type = "PUBREC", packet_id = m.packet_id }
  end
  session.publish(m)
  return m.qos == 0 or self:write { type = "PUBACK", packet_id = m.packet_id }
end

function session.PUBREL(self, m)
  self.unreleased[m.packet_id] = nil
  return self:write { type = "PUBCOMP", packet_id = m.packet_id }
end

function session.PUBREC(self, m)
  return self:write { type = "PUBREL", qos = 1, packet_id = m.packet_id }
end

function session.PUBACK() end -- TCP has delivered it, and a session ends with its connection
function session.PUBCOMP() end

function session.SUBSCRIBE(self, m)
  local codes = {}
  for i, filter in ipairs(m.filters) do
    local fine = filter.qos <= 2 and topics.subscribe(self, filter.topic, filter.qos)
    codes[i] = fine and filter.qos or 0x80
  end
  if not codes[1] or not self:write { type = "SUBACK", packet_id = m.packet_id, codes = codes } then
    return false
  end
  for i, filter in ipairs(m.filters) do
    for _, kept in ipairs(codes[i] < 3 and topics.retained(filter.topic) or {}) do
      deliver(self, kept, filter.qos, true)
    end
  end
end

function session.UNSUBSCRIBE(self, m)
  for _, filter in ipairs(m.topics) do topics.unsubscribe(self, filter) end
  return self:write { type = "UNSUBACK", packet_id = m.packet_id }
end

function session.PINGREQ(self) return self:write { type = "PINGRESP" } end

function session.DISCONNECT(self)
  self.will = nil
  return false
end

return session
