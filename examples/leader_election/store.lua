-- SPDX-License-Identifier: MIT
--
-- What a node of leader_election.lua must not forget: its term, and whom it voted for in it. A file
-- of one line, "TERM NAME", which is replaced as a whole, so that a crash leaves the old one or the
-- new one. (To survive a power cut as well it would have to be synced to the disk.)

local store = {}

local Store = {}
Store.__index = Store

--- Opens the store in this file, which need not exist yet.
---@param path string
---@return table? store with the fields term and vote (nil: for nobody yet)
---@return string? message
function store.open(path)
  local self = setmetatable({ path = path, term = 0 }, Store)
  local file <close> = io.open(path)
  if not file then return self end
  local term, vote = (file:read "a" or ""):match "^(%d+) (%S*)\n$"
  self.term = math.tointeger(term)
  self.vote = vote ~= "" and vote or nil
  if not self.term then return nil, path .. ": not written by this program" end
  return self
end

--- Returns once it is kept; raises an error if it cannot be, since to go on would be wrong.
---@param term integer
---@param vote string?
function Store:keep(term, vote)
  self.term, self.vote = term, vote
  local file <close> = assert(io.open(self.path .. ".new", "w"))
  assert(file:write(("%d %s\n"):format(term, vote or "")))
  assert(file:close())
  assert(os.rename(self.path .. ".new", self.path))
end

return store
