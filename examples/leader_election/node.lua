-- SPDX-License-Identifier: MIT
--
-- The rules by which a node of leader_election.lua follows, stands for election, and leads.
--
-- Time is cut into terms. A term has at most one leader, whatever is lost, late or cut off and
-- whoever crashes: to lead takes the votes of a majority, and a node votes once in a term. Whoever
-- hears of a later term enters it. A node that hears of no leader for a while begins a new term and
-- asks for votes; for how long is left to chance, so that seldom two nodes stand at once.
--
-- A message is "KIND TERM NAME", the name being the sender's: "elect" asks for a vote, "vote" gives
-- it, "lead" is the leader's sign of life.

local BEAT = 0.05             -- seconds between two signs of life
local PATIENCE = { 150, 300 } -- milliseconds without one: something between these

local Node = {}
Node.__index = Node

function Node:send(to, kind)
  self.world.send(to, ("%s %d %s"):format(kind, self.store.term, self.name))
end

function Node:announce(what)
  self.world.announce(("term %d: %s"):format(self.store.term, what))
end

function Node:rest()
  self.deadline = self.world.clock() + math.random(PATIENCE[1], PATIENCE[2]) / 1000
end

function Node:follow(leader)
  self.leads, self.votes, self.leader = false, nil, leader
  if leader then self:announce("follows " .. leader) end
end

function Node:beat()
  for _, other in ipairs(self.others) do self:send(other, "lead") end
  self.deadline = self.world.clock() + BEAT
end

-- A vote may come twice, and when the election is over. `votes` is nil for who does not stand.
function Node:count_vote(from)
  if not self.votes or self.votes[from] then return end
  self.votes[from] = true
  self.vote_count = self.vote_count + 1
  if self.vote_count <= (#self.others + 1) // 2 then return end
  self.leads, self.votes, self.leader = true, nil, self.name
  self:announce "leads"
  self:beat()
end

function Node:stand()
  self.votes, self.vote_count, self.leader = {}, 0, nil
  self.store:keep(self.store.term + 1, self.name)
  self:rest()
  for _, other in ipairs(self.others) do self:send(other, "elect") end
  self:count_vote(self.name)
end

local on = {} -- kind -> what to do about a message of the present term

function on:elect(from)
  if self.store.vote and self.store.vote ~= from then return end
  self.store:keep(self.store.term, from) -- kept first, then given
  self:rest()
  self:send(from, "vote")
end

on.vote = Node.count_vote

function on:lead(from)
  if self.leader ~= from then self:follow(from) end
  self:rest()
end

--- Takes a message of another node's. What is none, or of an earlier term, is ignored.
---@param message string
function Node:hear(message)
  local kind, term, from = message:match "^(%l+) (%d+) (%S+)$"
  term = math.tointeger(term)
  if not on[kind] or not term or not self.knows[from] or term < self.store.term then return end
  if term > self.store.term then
    self.store:keep(term, nil)
    self:follow(nil)
  end
  on[kind](self, from)
end

--- To be called when the deadline has passed: a leader gives a sign of life, the others stand.
function Node:act()
  if self.leads then self:beat() else self:stand() end
end

---@class World
---@field name string the node's own
---@field others string[] the other nodes' names
---@field store table see leader_election/store.lua
---@field clock fun(): number
---@field send fun(to: string, message: string)
---@field announce fun(text: string)

--- Makes a node that follows nobody yet. Its field `deadline` is when to call `act`.
---@param world World
---@return table
local function new(world)
  local self = setmetatable({
    world = world, name = world.name, others = world.others, store = world.store,
    knows = {}, leads = false,
  }, Node)
  for _, other in ipairs(self.others) do self.knows[other] = true end
  self:rest()
  return self
end

return { new = new }
