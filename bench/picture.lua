-- SPDX-License-Identifier: MIT
--
-- The picture of the benchmark: a line for each case and on it a mark for each server, at its ratio
-- to plain C on libuv. The axis is logarithmic, so that twice as fast is as far from C as half as
-- fast. Colours follow the reader's scheme, light or dark. Used by table.lua.

local picture = {}

local LEFT, RIGHT, TOP, STEP = 230, 30, 60, 26
local WIDTH = 860
local LOW, HIGH = 0.25, 32

local STYLE = [[
<style>
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .small { font-size: 11px; fill: #57606a }
  .grid { stroke: #d0d7de; stroke-width: 1 }
  .c { stroke: #57606a; stroke-width: 2 }
  .lariat { fill: #0969da }
  .batch { fill: none; stroke: #57606a; stroke-width: 2 }
  .peer { fill: #9a6700; opacity: 0.85 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .small { fill: #9198a1 }
    .grid { stroke: #3d444d }
    .c { stroke: #9198a1 }
    .lariat { fill: #4493f8 }
    .batch { stroke: #9198a1 }
    .peer { fill: #d29922 }
  }
</style>
]]

local function x_of(value)
  local place = math.log(math.max(LOW, math.min(HIGH, value)) / LOW) / math.log(HIGH / LOW)
  return LEFT + place * (WIDTH - LEFT - RIGHT)
end

local function mark(class, x, y)
  if class == "lariat" then
    return ('<circle class="lariat" cx="%.1f" cy="%.1f" r="6"/>'):format(x, y)
  elseif class == "batch" then
    return ('<rect class="batch" x="%.1f" y="%.1f" width="9" height="9"/>'):format(x - 4.5, y - 4.5)
  end
  return ('<path class="peer" d="M %.1f %.1f l 5 9 h -10 z"/>'):format(x, y - 5)
end

local function legend(add)
  local x = LEFT
  for _, entry in ipairs {
    { "lariat", "lariat" }, { "batch", "C that coalesces" },
    { "peer", "lua-luv, cqueues, copas, Node" },
  } do
    add(mark(entry[1], x, 20))
    add(('<text x="%d" y="24">%s</text>'):format(x + 12, entry[2]))
    x = x + 30 + #entry[2] * 8
  end
end

-- points: {{label, title}, ...}; ratios: "label|server|C" -> {rate = {low, median, high}, ...}
function picture.write(path, points, ratios, peers)
  local lines = {}
  local function add(line) lines[#lines + 1] = line end
  local shown = {}
  for _, point in ipairs(points) do
    if ratios[point[1] .. "|lariat|C"] then shown[#shown + 1] = point end
  end
  local bottom = TOP + #shown * STEP
  add(('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img">'):format(
    WIDTH, bottom + 40))
  add "<title>Throughput as a ratio to C on libuv; further right is faster</title>"
  add(STYLE)
  legend(add)
  local tick = LOW
  while tick <= HIGH do
    local x = x_of(tick)
    add(('<line class="%s" x1="%.1f" y1="%d" x2="%.1f" y2="%d"/>'):format(
      tick == 1 and "c" or "grid", x, TOP - 14, x, bottom))
    add(('<text class="small" x="%.1f" y="%d" text-anchor="middle">%sx</text>'):format(
      x, bottom + 16, ("%g"):format(tick)))
    tick = tick * 2
  end
  add(('<text class="small" x="%.1f" y="%d" text-anchor="middle">C on libuv</text>'):format(
    x_of(1), bottom + 32))
  for i, point in ipairs(shown) do
    local y = TOP + (i - 1) * STEP
    add(('<text x="%d" y="%d" text-anchor="end">%s</text>'):format(LEFT - 14, y + 4, point[2]))
    for _, peer in ipairs(peers) do
      local measured = ratios["peers/" .. point[1] .. "|" .. peer .. "|C"]
      if measured then
        add(("<g><title>%s %.2f</title>%s</g>"):format(
          peer, measured.rate[2], mark("peer", x_of(measured.rate[2]), y)))
      end
    end
    local batch = ratios[point[1] .. "|C-batch|C"]
    if batch then add(mark("batch", x_of(batch.rate[2]), y)) end
    local ours = ratios[point[1] .. "|lariat|C"].rate[2]
    add(("<g><title>lariat %.2f</title>%s</g>"):format(ours, mark("lariat", x_of(ours), y)))
  end
  add "</svg>"
  local file <close> = assert(io.open(path, "w"))
  assert(file:write(table.concat(lines, "\n"), "\n"))
end

return picture
