-- SPDX-License-Identifier: MIT
--
-- An MQTT 3.1.1 broker: qualities of service 0 to 2, wildcards, retained messages, wills. A session
-- ends with its connection.
--
--   lariat mqtt_broker.lua [HOST [PORT]]          (default 127.0.0.1 1883; port 0: any free port)
--
-- Try it with mosquitto_sub -t 'lamp/#' -v and mosquitto_pub -t lamp/1 -m on, or with
-- curl mqtt://127.0.0.1/lamp/1. The message is declared in wire/mqtt.lua; mqtt/session.lua says
-- what is done with each, mqtt/topics.lua finds who is to get it.

local socket = require "socket"
local task = require "lariat.task"
package.path = arg[0]:gsub("[^/]*$", "") .. "?.lua;" .. package.path -- modules beside this script
local mqtt = require "wire.mqtt"
local handlers = require "mqtt.session"
local topics = require "mqtt.topics"

local CLIENTS, PATIENCE = 10000, 10 -- at once; seconds for a client to introduce itself
local QUEUE = 1000 -- messages that wait for one client; it is too slow for more

local host, port = arg[1] or "127.0.0.1", math.tointeger(arg[2] or 1883)
if arg[3] or not port or port < 0 or port > 65535 then
  io.stderr:write "usage: lariat mqtt_broker.lua [HOST [PORT]]\n"
  os.exit(2)
end

local sessions, anonymous = {}, 0 -- client id -> session

-- What is wrong with a client's introduction: a code for it, 0 if nothing is, nil if it is none.
local function judge(hello)
  if not hello or hello.type ~= "CONNECT" or hello.protocol ~= "MQTT" then return nil end
  if hello.level ~= 4 then return 1 end
  if hello.will and not topics.is_name(hello.will_topic) then return nil end
  return hello.client_id == "" and not hello.clean and 2 or 0
end

local function new_session(hello, conn)
  local id = hello.client_id
  if id == "" then
    anonymous = anonymous + 1
    id = "\0" .. anonymous
  end
  local session = { id = id, conn = conn, queue = task.channel(QUEUE), filters = {},
    unreleased = {}, last_id = 0 }
  if hello.will then
    session.will = { topic = hello.will_topic, payload = hello.will_message, qos = hello.will_qos,
      retain = hello.will_retain }
  end
  function session:write(message) return mqtt:write(conn, message) ~= nil end
  if sessions[id] then sessions[id].conn:close() end -- the same client, come again
  sessions[id] = session
  return session
end

local function close_session(session)
  if sessions[session.id] == session then sessions[session.id] = nil end
  for filter in pairs(session.filters) do topics.unsubscribe(session, filter) end
  if session.will then handlers.publish(session.will) end
end

-- What others publish waits in a queue, so that a client that reads slowly holds up itself only.
local function write_queue(session)
  for message in session.queue do
    if not session:write(message) then return session.conn:close() end
  end
end

local function handle(conn)
  conn:settimeout(PATIENCE)
  local hello = mqtt:read(conn)
  local code = judge(hello)
  if code then mqtt:write(conn, { type = "CONNACK", code = code }) end
  if code ~= 0 then return end
  conn:settimeout(hello.keepalive > 0 and hello.keepalive * 1.5 or nil)
  local session = new_session(hello, conn)
  local _ <close> = setmetatable({}, { __close = function() close_session(session) end })
  local _ <close> = task.spawn(write_queue, session)
  repeat
    local message = mqtt:read(conn)
    local handler = message and handlers[message.type]
  until not handler or handler(session, message) == false
end

local server, why = socket.bind(host, port, 511)
if not server then
  io.stderr:write("mqtt_broker: ", why, "\n")
  os.exit(1)
end
print(("listening on %s %d"):format(server:getsockname()))
io.flush()

assert(server:serve(handle, { limit = CLIENTS, name = "client" }))
