-- SPDX-License-Identifier: MIT
--
-- Everything at once, by many seeds: hosts that serve streams, datagrams and unix sockets, clients
-- that connect, send and close as chance has it, crashes, restarts and partitions; and every way in
-- which a run can end. Under the sanitizers nothing may be touched too late or left behind.

local sim = require "lariat.sim"
local socket = require "socket"
local task = require "lariat.task"
local unix = require "socket.unix"

local SCALE = tonumber(os.getenv "SCALE") or 1

local PORT = 7

-- Hosts -------------------------------------------------------------------------------------------

local function echo_datagrams()
  local udp = assert(socket.udp4())
  assert(udp:setsockname("*", PORT))
  for data, host, port in udp:datagrams() do udp:sendto(data, host, port) end
end

local function greet_by_path()
  local server = assert(unix.stream())
  os.remove "/greet"
  assert(server:bind "/greet")
  assert(server:listen(2))
  while true do
    local conn = assert(server:accept())
    conn:send "hi\n"
    if math.random(2) == 1 then conn:close() end
  end
end

-- Echoes, sleeps, hangs up or resets.
local function moody(conn)
  while true do
    local mood = math.random(5)
    if mood == 1 then return end
    if mood == 2 then return conn:setoption("linger", { on = true, timeout = 0 }) end
    if mood == 3 then task.sleep(math.random()) end
    local data = conn:receiveany()
    if not data then return end
    conn:send(data)
  end
end

local function host()
  task.spawn(echo_datagrams)
  task.spawn(greet_by_path)
  assert(assert(socket.bind("*", PORT)):serve(moody))
end

-- Clients -----------------------------------------------------------------------------------------

local doings = {}

function doings.talk(peer)
  local conn = socket.connect(peer, PORT)
  if not conn then return end
  conn:settimeout(math.random())
  local sending = task.spawn(conn.send, conn, ("x"):rep(math.random(300000)))
  for _ = 1, math.random(5) do conn:receive(math.random(3000)) end
  if math.random(2) == 1 then conn:shutdown "send" end
  if math.random(3) == 1 then conn:close() end
  sending:join()
  if math.random(2) == 1 then conn:close() end
end

function doings.send_datagrams(peer)
  local udp = assert(socket.udp4())
  udp:settimeout(math.random())
  if not udp:setpeername(peer, PORT + math.random(0, 1)) then return end -- the name came too late
  for _ = 1, math.random(20) do
    udp:send(("y"):rep(math.random(0, 3000)))
    udp:receive()
  end
end

function doings.connect_a_few(peer)
  local connecting = {}
  for i = 1, math.random(5) do
    connecting[i] = task.spawn(function()
      local tcp = socket.tcp()
      tcp:settimeout(math.random())
      tcp:connect(peer, PORT + math.random(0, 1))
    end)
  end
  for _, one in ipairs(connecting) do one:join() end
end

function doings.look_up(peer)
  assert(socket.dns.toip(peer))
end

local NAMES = { "talk", "talk", "talk", "send_datagrams", "connect_a_few", "look_up" }

local ENDINGS = {
  well = function() end,
  error = function() error "the client fails" end,
  exit = function() os.exit(1) end,
  deadlock = function() task.channel():receive() end,
}

local function client(peers, ending)
  for _ = 1, 10 do
    doings[NAMES[math.random(#NAMES)]](peers[math.random(#peers)])
  end
  if math.random(2) == 1 then ENDINGS[ending]() end
end

local function trouble(net, peers)
  for _ = 1, math.random(8) do
    task.sleep(math.random() * 3)
    local what = ({ "crash", "restart", "partition", "hold", "heal" })[math.random(5)]
    net[what](net, what ~= "heal" and peers[math.random(#peers)] or nil)
  end
  net:heal()
end

local function run(seed, ending, options)
  options.seed, options.swarm = seed, true
  return sim.try(options, function(net)
    local peers = {}
    for i = 1, math.random(2, 6) do
      peers[i] = "host" .. i
      net:host(peers[i], host)
    end
    for i = 1, math.random(6) do net:client("client" .. i, client, peers, ending) end
    trouble(net, peers)
  end)
end

local EXPECTED = {
  well = "^never$", error = "the client fails", exit = "ended with status 1",
  deadlock = ": deadlock after", limit = "still running after 2000 events",
}

describe("a simulated network in which everything happens", function()
  for ending, message in pairs(EXPECTED) do
    it(("ends %s for every seed"):format(ending == "limit" and "at a limit" or "by " .. ending),
      function()
        local failures = 0
        for seed = 1, 40 // SCALE do
          local result = run(seed, ENDINGS[ending] and ending or "well",
            { max_events = ending == "limit" and 2000 or nil })
          if not result.ok then
            failures = failures + 1
            assert.matches(message, result.error)
          end
        end
        assert.equal(ending ~= "well", failures > 0)
      end)
  end
end)

describe("a simulation", function()
  it("forgets connections that are over", function()
    local count = 20000 // SCALE
    local result = sim.run({ split = false }, function(net)
      net:host("server", function()
        assert(assert(socket.bind("*", PORT)):serve(function(conn)
          conn:send(conn:receive() .. "\n")
        end))
      end)
      net:client("client", function()
        task.sleep(0.1)
        for i = 1, count do
          local conn <close> = assert(socket.connect("server", PORT))
          conn:send(i .. "\n")
          assert.equal(tostring(i), conn:receive())
        end
      end)
    end)
    assert.is_true(result.time < count) -- ports did not run out
  end)

  it("has room for many hosts that all talk to each other", function()
    local HOSTS = 60
    local heard = 0
    sim.run({ split = false }, function(net)
      for i = 1, HOSTS do
        net:host("h" .. i, function()
          assert(assert(socket.bind("*", PORT)):serve(function(conn) conn:send "hello\n" end))
        end)
      end
      for i = 1, HOSTS do
        net:client("c" .. i, function()
          task.sleep(0.1)
          for j = 1, HOSTS do
            local conn <close> = assert(socket.connect("h" .. j, PORT))
            assert.equal("hello", conn:receive())
            heard = heard + 1
          end
        end)
      end
    end)
    assert.equal(HOSTS * HOSTS, heard)
  end)
end)
