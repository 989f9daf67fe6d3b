-- SPDX-License-Identifier: MIT
--
-- The nodes of examples/leader_election.lua: for real over loopback, and on simulated networks in
-- which everything goes wrong: never two leaders in one term, and one for all when that is over.
--
--   make test SPEC=spec/examples/leader_election_spec.lua TESTFLAGS=--seeds=1000

local example = require "spec.support.example"
local sim = require "lariat.sim"
local simulation = require "spec.support.simulation"
local socket = require "socket"
local task = require "lariat.task"

local SEEDS = 100 // (tonumber(os.getenv "SCALE") or 1)
-- So slow that two nodes often stand in the same term.
local OPTIONS = { seeds = SEEDS, swarm = true, latency = { 0.001, 0.04 }, echo = false }
local NAMES = { "n1", "n2", "n3", "n4", "n5" }
local BOUND = 30 -- virtual seconds until there is a leader after all; faults by chance go on

-- Starts the nodes; each has a file in `files`, which a crash leaves alone.
local function start_nodes(net, directory, files)
  local addresses, nodes = {}, {}
  for i, name in ipairs(NAMES) do addresses[i] = name .. "=" .. name .. ":7100" end
  for i, name in ipairs(NAMES) do
    local path = ("%s/%d-%s"):format(files, net.seed, name)
    os.remove(path) -- of an earlier run
    nodes[i] = net:host(name, directory .. "/leader_election.lua", name, path,
      table.unpack(addresses))
  end
  return nodes
end

-- From now on a node that votes is often started again while its vote is on the way.
local function restart_voters(net)
  net:rule(function(packet)
    if packet.data:find "^vote" and math.random(4) == 1 then
      net:at(net:time(), function() net:restart(packet.from) end)
    end
  end)
end

-- Crashes, restarts, partitions and heals, all at random; and in the end makes all well.
local function make_trouble(net, nodes)
  local down = {}
  local troubles = {
    function(a) a:crash() down[a] = true end,
    function(a) a:restart() down[a] = nil end,
    function(a, b) net:partition(a, b) end,
    function(a, b) net:partition { a, b } end,
    function() net:heal() end,
  }
  restart_voters(net)
  for _ = 1, 40 do
    task.sleep(math.random() ^ 3)
    local a, b = math.random(#nodes), math.random(#nodes - 1)
    troubles[math.random(#troubles)](nodes[a], nodes[b < a and b or b + 1])
  end
  net:rule(nil)
  net:heal()
  for _, node in ipairs(nodes) do
    if down[node] then node:restart() end
  end
end

-- The term and the leader that a line speaks of; nil if none.
local function read_line(line, name)
  local term, what = line:match "^term (%d+): (.+)$"
  return term, what == "leads" and name or what and what:match "^follows (%S+)"
end

local function all_agree(nodes)
  local seen
  for _, node in ipairs(nodes) do
    local term, leader = read_line(node:output():match "([^\n]*)\n$" or "", node.name)
    if not leader or seen and seen ~= term .. leader then return false end
    seen = term .. leader
  end
  return true
end

local function check_leaders(nodes)
  local leaders = {}
  for _, node in ipairs(nodes) do
    for term in node:output():gmatch "term (%d+): leads" do
      local other = leaders[term]
      assert(not other, ("term %s has two leaders: %s and %s"):format(term, other, node.name))
      leaders[term] = node.name
    end
  end
end

local function elect(net, directory, files)
  local nodes = start_nodes(net, directory, files)
  make_trouble(net, nodes)
  local healed = net:time()
  while not all_agree(nodes) do
    assert(net:time() - healed < BOUND, "no leader for all")
    task.sleep(0.05)
  end
  check_leaders(nodes)
end

-- Real nodes, as child processes.
local Real = {}
Real.__index = Real

function Real:__close()
  for _, child in pairs(self.children) do child:close() end
end

function Real:kill(name)
  self.children[name]:kill "KILL"
  self.children[name]:wait()
  self.children[name]:close()
  self.children[name], self.said[name] = nil, nil
end

-- Reads what they print until all have last said the same of one that lives: its name.
function Real:agree()
  local streams, name_of = {}, {}
  for name, child in pairs(self.children) do
    table.insert(streams, child.stdout)
    name_of[child.stdout] = name
  end
  while true do
    local stream = task.wait(streams)
    local name = name_of[stream]
    local term, leader = read_line(assert(stream:receive()), name)
    self.said[name] = self.children[leader] and term .. leader
    local same = true
    for other in pairs(self.children) do same = same and self.said[other] == self.said[name] end
    if same and self.said[name] then return leader end
  end
end

-- Each gets a port that was free just now.
local function start_real(names, files)
  local self, addresses = setmetatable({ children = {}, said = {} }, Real), {}
  for i, name in ipairs(names) do
    local udp <close> = socket.udp()
    assert(udp:setsockname("127.0.0.1", 0))
    addresses[i] = ("%s=%s:%d"):format(name, udp:getsockname())
  end
  for _, name in ipairs(names) do
    self.children[name] = example.talk_to("leader_election", name, files .. "/" .. name,
      table.unpack(addresses))
  end
  return self
end

-- A directory for the nodes' files, in memory: they are written some ten thousand times.
local files, remover

local function make_files() files, remover = example.directory "/dev/shm" end
local function remove_files() remover.remove() end

describe("leader election", function()
  setup(make_files)
  teardown(remove_files)

  it("ends with one leader over loopback, and with another one when that dies", function()
    local nodes <close> = start_real({ "a", "b", "c" }, files)
    local first = nodes:agree()
    nodes:kill(first)
    assert.not_equal(first, nodes:agree())
  end)

  it("refuses bad arguments", function()
    assert.is_true(example.refuses("leader_election", "a", "file"))
    assert.is_true(example.refuses("leader_election", "a", "file", "b=127.0.0.1:7100"))
    assert.is_true(example.refuses("leader_election", "a", "file", "a=127.0.0.1:70000"))
  end)

  sim.it("never has two leaders in a term, and one in the end", OPTIONS,
    function(net) elect(net, "examples", files) end)
end)

-- What somebody could have written; each shows only if the wrong things happen together.
local BUGS = {
  {
    "a node that forgets at a restart whom it voted for", "store.lua",
    'self.vote = vote ~= "" and vote or nil', "self.vote = nil",
  },
  {
    "a node that votes for whoever asks", "node.lua",
    "if self.store.vote and self.store.vote ~= from then return end", "",
  },
  {
    "a vote that counts twice if it comes twice", "node.lua",
    "if not self.votes or self.votes[from] then return end", "if not self.votes then return end",
  },
}

describe("a bug in leader election is found by a seed, and again by the same:", function()
  setup(make_files)
  teardown(remove_files)

  for _, bug in ipairs(BUGS) do
    local name, file, right, wrong = table.unpack(bug)
    it(name, function()
      local directory, closer <close> = example.broken("leader_election/" .. file, right, wrong)
      assert(closer)
      local found = simulation.finds(OPTIONS, function(net) elect(net, directory, files) end)
      assert.matches("has two leaders", found.error)
    end)
  end
end)
