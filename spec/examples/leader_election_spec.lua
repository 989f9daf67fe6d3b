-- SPDX-License-Identifier: MIT
--
-- The nodes of examples/leader_election.lua: for real over loopback, and on simulated networks where
-- everything goes wrong: never two leaders in one term, and one for all once it stops going wrong.
--
--   make test SPEC=spec/examples/leader_election_spec.lua TESTFLAGS=--seeds=1000

local example = require "spec.support.example"
local sim = require "lariat.sim"
local task = require "lariat.task"

local SEEDS = 100 // (tonumber(os.getenv "SCALE") or 1)
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
  for _ = 1, 40 do
    task.sleep(math.random() ^ 3)
    local a, b = math.random(#nodes), math.random(#nodes - 1)
    troubles[math.random(#troubles)](nodes[a], nodes[b < a and b or b + 1])
  end
  net:heal()
  for _, node in ipairs(nodes) do
    if down[node] then node:restart() end
  end
end

-- What a node last said: its term and its leader.
local function state_of(node)
  local term, what = node:output():match "term (%d+): ([^\n]+)\n$"
  return term, what == "leads" and node.name or what and what:match "^follows (%S+)"
end

local function all_agree(nodes)
  local term, leader = state_of(nodes[1])
  for _, node in ipairs(nodes) do
    local its_term, its_leader = state_of(node)
    if not leader or its_term ~= term or its_leader ~= leader then return false end
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

-- A directory for the nodes' files, made before the tests and removed after them.
local files, closer

local function make_files() files, closer = example.directory() end
local function remove_files() closer.remove() end

describe("leader election", function()
  setup(make_files)
  teardown(remove_files)

  sim.it("never has two leaders in a term, and one in the end", { seeds = SEEDS, echo = false },
    function(net) elect(net, "examples", files) end)
end)
