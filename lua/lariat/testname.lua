-- SPDX-License-Identifier: MIT
--
-- The full name of a test: its own behind those of the blocks around it, as busted shows it and as
-- busted's --filter reads it.

--- Joins the names of an element of busted's and of the blocks that it is in.
---@param busted table busted's instance
---@param element table
---@return string
return function(busted, element)
  local names = {}
  while element and element.descriptor ~= "file" do
    if element.name or element.descriptor then
      table.insert(names, 1, element.name or element.descriptor)
    end
    element = busted.context.parent(element)
  end
  return table.concat(names, " ")
end
