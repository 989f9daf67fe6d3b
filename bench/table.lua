-- SPDX-License-Identifier: MIT
--
-- From numbers to the table: what each case must reach, what it has reached, and whether that
-- counts. Prints the table, and with --write also writes bench/RESULTS.md and docs/bench.svg. In
-- RESULTS.md the section "What did not pay" is written by hand and stays.
--
-- A ratio of rates says how much faster than the reference. It means something where the server was
-- busy all the time; where either was not, the client was what limited it, and the inverse ratio of
-- the processor time for a message takes its place ("cpu" in the column "by"). A row is void when
-- the same ratio of the reference to itself (A/A) is off.
--
-- Rows with a heap or idle tasks are judged by means over all cycles, not by medians: what a
-- collector takes at one stop in fifty slices is in none of the medians.
--
-- Usage: lariat bench/table.lua RESULTS [--write ROOT --command TEXT --machine TEXT]

package.path = arg[0]:gsub("[^/]*$", "") .. "?.lua;" .. package.path
local picture = require "picture"

local BUSY_ENOUGH = 0.85 -- with time to spare it was the client that could not do more
local VOID_BELOW, VOID_ABOVE = 0.97, 1.03

local KIB = 1024
local PEERS = { "luv", "cqueues", "copas", "node" }

-- What load measured. `to` is the reference, C if nothing is said; `by` forces the kind of ratio.
-- `mean` takes means, by = "1/cpu" processor time in any case (a stop longer than a slice lowers
-- the rate of that slice alone), `most` marks a bound from above, on processor time.
local ROWS = {
  { "echo-1", "echo, 1 connection, same core", must = 0.96, aim = 0.98, by = "rate" },
  { "echo-64", "echo, 64 connections x 64 B", must = 0.98, aim = 1.0 },
  { "echo-1000", "echo, 1000 connections x 64 B", must = 1.0, aim = 1.05 },
  { "echo-3000", "echo, 3000 connections x 64 B", must = 1.05, aim = 1.13 },
  { "echo-pipelined", "echo, 64 x 16 deep", must = 0.92, aim = 0.98 },
  { "echo-16k", "echo, 64 x 16 KiB", must = 0.85, aim = 0.95 },
  { "echo-16k+10k", "echo, 16 KiB, heap of 10,000", must = 0.90, aim = 0.95, mean = true },
  { "echo-16k+10k+1000t", "and 1,000 idle tasks", must = 0.68, aim = 0.75, mean = true },
  { "echo-16k+10k+10000t", "and 10,000 idle tasks", mean = true },
  { "echo-16k+1m", "echo, 16 KiB, heap of 1,000,000", must = 0.75, aim = 0.85, mean = true },
  { "echo-16k+1m+written", "the same, written", mean = true },
  { "echo-16k+1m+written", "to Lua's incremental collector", to = "incremental", must = 0.95,
    aim = 1.0, mean = true, by = "1/cpu" },
  { "lines", "lines, 64 x 16 deep", must = 9, aim = 11 },
  { "lines", "lines, to coalescing C", to = "C-batch", must = 0.62, aim = 0.80 },
  { "lines-concat", "receive '*l' and .., to coalescing C", to = "C-batch" },
  { "lines-concat+10k", "lines, receive '*l' and .., heap of 10,000", mean = true },
  { "lines-concat+10k", "the same, to coalescing C", to = "C-batch", must = 0.62, aim = 0.66,
    mean = true },
  { "lines-concat+300k+written", "lines, heap of 300,000, to incremental", to = "incremental",
    must = 0.95, aim = 1.0, mean = true, by = "1/cpu" },
  { "chat", "chat, 100 clients", must = 15, aim = 25 },
  { "chat", "chat, to coalescing C", to = "C-batch", must = 0.60, aim = 0.70 },
  { "kv", "kv, match and .., to coalescing C", to = "C-batch" },
  { "kv+10k", "kv, match and .., heap of 10,000", mean = true },
  { "kv+10k", "the same, to coalescing C", to = "C-batch", must = 0.49, aim = 0.52, mean = true },
  { "kv+10k+1000t", "and 1,000 idle tasks, to coalescing C", to = "C-batch", mean = true },
  { "kv+300k+written", "kv, heap of 300,000, to incremental", to = "incremental", must = 0.95,
    aim = 1.0, mean = true, by = "1/cpu" },
  { "get-pipelined", "GET key, 64 x 16 deep", must = 6, aim = 8 },
  { "get-pipelined", "GET key, to coalescing C", to = "C-batch", must = 0.50, aim = 0.65 },
  { "get-64", "GET key, 64 connections", must = 0.86, aim = 0.94 },
  { "bulk", "bulk sink, 64 KiB, CPU", must = 1.25, aim = 1.1, by = "cost" },
  { "proxy", "proxy (relay), 64 KiB, CPU", must = 1.05, aim = 0.8, by = "cost" },
  { "connect", "connect, accept, close, CPU", must = 1.10, aim = 1.02, by = "cost" },
  { "udp", "UDP echo, 16 x 8 in flight", must = 1.2, aim = 1.35 },
}

local function difference(value, reference) return value - reference end
local function ratio(value, reference) return value / reference end
local function itself(value) return value end

-- What the gauges measured. `least` marks a bound from below.
local GAUGES = {
  { "idle-memory", "memory of an idle connection", itself, "%.0f B", must = 1.8 * KIB, aim = KIB },
  { "startup", "start-up over an empty C program", difference, "%.0f us", must = 1000, aim = 300 },
  { "task-memory", "memory of a sleeping task", itself, "%.0f B", must = 2 * KIB, aim = 1.2 * KIB },
  { "task-pause", "worst pause, 100,000 tasks", itself, "%.1f ms", must = 15, aim = 5 },
  { "pause-tasks", "worst pause, 10,000 tasks and entries", itself, "%.1f ms", must = 5, aim = 2 },
  { "pause-read", "worst pause, heap of 1,000,000", itself, "%.1f ms", must = 15, aim = 5 },
  { "pause-written", "worst pause, the same, written", itself, "%.1f ms", must = 35, aim = 20 },
  { "pause-first", "longest stop after loading 1,000,000", itself, "%.0f ms" },
  { "peak-read", "peak memory, heap of 1,000,000", itself, "%.0f MiB" },
  { "peak-written", "peak memory, the same, written", itself, "%.0f MiB" },
  { "timeouts", "a timeout on every receive", itself, "%+.0f instr.", must = 100, aim = 40 },
  { "settimeout", "settimeout before every receive", itself, "%+.0f instr." },
  { "redis-set", "SET, to redis-server", ratio, "%.2f", must = 0.5, aim = 0.9, least = true },
  { "redis-get", "GET, to redis-server", ratio, "%.2f", must = 0.5, aim = 0.9, least = true },
  { "generators", "plain generator, to lua5.4", ratio, "%.2f", must = 1.5 },
  { "simulation", "simulated network", itself, "%.0f events/s", must = 300000, least = true },
}

-- Reading -----------------------------------------------------------------------------------------

local function read(path)
  local found = { servers = {}, pairs = {}, gauges = {}, growth = {} }
  for line in io.lines(path) do
    local f = {}
    for field in line:gmatch "[^\t]+" do f[#f + 1] = tonumber(field) or field end
    local key = table.concat({ f[2], f[3], f[4] }, "|")
    if f[1] == "server" then
      local name = f[2] .. "|" .. f[3]
      found.servers[name] = found.servers[name] or {
        rate = f[4], cpu = f[5], busy = f[6], p50 = f[8], p99 = f[9], worst = f[10], peak = f[11],
      }
    elseif f[1] == "pair" then
      found.pairs[key] = {
        rate = { f[5], f[6], f[7] }, cpu = { f[8], f[9], f[10] },
        all = { rate = f[11], cpu = f[12] }, mean = { rate = f[13], cpu = f[14] },
      }
    elseif f[1] == "gauge" then
      found.gauges[f[2]] = { value = f[3], reference = f[4] }
    elseif f[1] == "growth" then
      found.growth[#found.growth + 1] =
        { curve = f[2], amount = f[3], value = f[4], reference = f[5], unit = f[6] }
    end
  end
  return found
end

-- Judging -----------------------------------------------------------------------------------------

local function verdict(reached, must, aim, most)
  if not must then return "" end
  if most then reached, must, aim = -reached, -must, aim and -aim end
  if reached < must then return "MISSED" end
  return aim and reached >= aim and "met, aim too" or "met"
end

-- A row of the table for what load measured, or nil if it has not been.
local function judge(found, row)
  local label, reference = row[1], row.to or "C"
  local measured = found.pairs[label .. "|lariat|" .. reference]
  if not measured then return nil end
  local ours, theirs = found.servers[label .. "|lariat"], found.servers[label .. "|" .. reference]
  local again = found.pairs[label .. "|C|C"]
  local by = row.by
  if by == "1/cpu" then
    by = "cpu"
  elseif not by then
    by = math.min(ours.busy, theirs.busy) >= BUSY_ENOUGH and "rate" or "cpu"
  end
  local kind = by == "rate" and "rate" or "cpu"
  local reached = row.mean and measured.mean[kind] or measured[kind][2]
  if by == "cpu" then reached = 1 / reached end
  local noise = row.mean and again.mean[kind] or again[kind][2]
  local function invert(number) return by == "cpu" and 1 / number or number end
  local void = noise < VOID_BELOW or noise > VOID_ABOVE
  local bound = by == "cost" and "<= " or ""
  return {
    title = row[2],
    reached = ("%.2f"):format(reached),
    by = (row.mean and "mean " or "")
      .. (by == "cost" and "cpu" or by == "cpu" and "1/cpu" or "rate"),
    all = ("%.2f / %.2f"):format(invert(measured.all[kind]), invert(measured.mean[kind])),
    cost = ("%.2f"):format(1 / measured.mean.cpu),
    rate = ("%.2f (%.2f-%.2f)"):format(measured.rate[2], measured.rate[1], measured.rate[3]),
    cpu = ("%.2f (%.2f-%.2f)"):format(measured.cpu[2], measured.cpu[1], measured.cpu[3]),
    latency = ("%.0f / %.0f / %.1f"):format(ours.p50, ours.p99, ours.worst),
    latency_c = ("%.0f / %.0f / %.1f"):format(theirs.p50, theirs.p99, theirs.worst),
    peak = ("%.0f / %.0f"):format(ours.peak, theirs.peak),
    must = row.must and ("%s%.4g / %.4g"):format(bound, row.must, row.aim) or "",
    again = ("%.3f"):format(noise),
    verdict = void and "void" or verdict(reached, row.must, row.aim, by == "cost"),
  }
end

local function judge_gauge(found, row)
  local measured = found.gauges[row[1]]
  if not measured then return nil end
  local reached = row[3](measured.value, measured.reference)
  local function show(number) return (row[4]:format(number):gsub("^%+", "")) end
  local must = ""
  if row.must then
    must = (row.least and "" or "<= ") .. show(row.must)
    if row.aim then must = must .. " / " .. show(row.aim) end
  end
  return {
    title = row[2], reached = row[4]:format(reached), by = "", all = "", cost = "", rate = "",
    cpu = "", latency = "", latency_c = "", peak = "", again = "", must = must,
    verdict = verdict(reached, row.must, row.aim, not row.least),
  }
end

local COLUMNS = {
  { "case", "title" }, { "reached", "reached" }, { "by", "by" }, { "must / aim", "must" },
  { "verdict", "verdict" }, { "all: median / mean", "all" }, { "mean 1/cpu", "cost" },
  { "rate ratio (25-75 %)", "rate" },
  { "CPU ratio (25-75 %)", "cpu" }, { "p50 / p99 us / worst ms", "latency" },
  { "reference", "latency_c" }, { "peak MiB", "peak" }, { "A/A", "again" },
}

local function judge_all(found)
  local rows = {}
  for _, row in ipairs(ROWS) do rows[#rows + 1] = judge(found, row) end
  for _, row in ipairs(GAUGES) do rows[#rows + 1] = judge_gauge(found, row) end
  return rows
end

-- Showing -----------------------------------------------------------------------------------------

-- Both for people and for Markdown: columns as wide as their widest cell.
local function draw(columns, rows)
  local widths, lines = {}, {}
  for i, column in ipairs(columns) do
    widths[i] = #column[1]
    for _, row in ipairs(rows) do widths[i] = math.max(widths[i], #row[column[2]]) end
  end
  local function add(cell)
    local cells = {}
    for i in ipairs(columns) do cells[i] = ("%-" .. widths[i] .. "s"):format(cell(i)) end
    lines[#lines + 1] = "| " .. table.concat(cells, " | ") .. " |"
  end
  add(function(i) return columns[i][1] end)
  add(function(i) return ("-"):rep(widths[i]) end)
  for _, row in ipairs(rows) do add(function(i) return row[columns[i][2]] end) end
  return table.concat(lines, "\n")
end

local function draw_peers(found)
  local columns, rows = { { "case", "case" }, { "lariat", "lariat" } }, {}
  for _, peer in ipairs(PEERS) do columns[#columns + 1] = { peer, peer } end
  columns[#columns + 1] = { "coalescing C", "C-batch" }
  local seen = {}
  for _, row in ipairs(ROWS) do
    local label = "peers/" .. row[1]
    local cells, any = { case = row[1] }, false
    for i = 2, #columns do
      local name = columns[i][2]
      local measured = found.pairs[label .. "|" .. name .. "|C"]
      cells[name] = "-"
      if measured then
        cells[name] = ("%.2f, %.2f"):format(measured.rate[2], 1 / measured.cpu[2])
      end
      any = any or measured
    end
    if any and not seen[label] then rows[#rows + 1] = cells end
    seen[label] = true
  end
  return #rows > 0 and draw(columns, rows) or nil
end

local function draw_growth(found)
  local rows = {}
  local columns = {
    { "what grows", "curve" }, { "to", "amount" }, { "lariat", "ours" }, { "C", "c" },
  }
  for i, point in ipairs(found.growth) do
    rows[i] = {
      curve = point.curve, amount = tostring(point.amount), ours = point.value .. " " .. point.unit,
      c = point.reference ~= 0 and tostring(point.reference) or "",
    }
  end
  return #rows > 0 and draw(columns, rows) or nil
end

local BY_HAND = "\n## What did not pay\n"

local function section_by_hand(path)
  local file <close> = io.open(path)
  local text = file and file:read "a" or ""
  local start = text:find(BY_HAND, 1, true)
  return start and text:sub(start) or BY_HAND .. "\nNothing is written here yet.\n"
end

local HEAD = [[
# Results

Written by `%s`; do not edit, except for the last section. Ratios are to the server in C
on libuv that bench/server.c holds, on the same run, as medians of many short slices taken in turn;
load.c says how. "Reached" is the ratio of rates where both servers were busy all the time, and
otherwise the inverse ratio of processor time for a message (1/cpu); in rows about CPU it is the
ratio of processor time itself. Medians are those of the calmer half of the slices, of all of which
the median and the mean stand beside; with a heap or idle tasks the mean counts, as what a collector
takes at one stop is in no median. A/A is the reference against itself: outside 0.97-1.03 a row is
void. "Worst" is the longest that a message took, also for reasons of the machine; the pauses at the
end are of the collector, in processor time.

%s
]]

local function write_markdown(path, found, rows, options)
  local by_hand = section_by_hand(path)
  local machine = options.machine:gsub("[^\n]+", "- %0")
  local parts = { HEAD:format(options.command, machine), draw(COLUMNS, rows) }
  local peers, growth = draw_peers(found), draw_growth(found)
  if peers then
    parts[#parts + 1] = "\n## Other runtimes\n\nRates, and inverse processor time for a message, to"
      .. " C on libuv; by `make bench-peers`.\n\n" .. peers
  end
  if growth then parts[#parts + 1] = "\n## Growth\n\nBy `bench/run.sh growth`; bench/crowds.lua and"
    .. " bench/exit.lua say what their curves are.\n\n" .. growth end
  local file <close> = assert(io.open(path, "w"))
  assert(file:write(table.concat(parts, "\n"), "\n", by_hand))
end

local function parse(args)
  local options = {}
  for i = 2, #args, 2 do options[args[i]:match "^%-%-(%a+)$"] = args[i + 1] end
  return options
end

local found = read(arg[1])
local options = parse(arg)
local rows = judge_all(found)
if #rows > 0 then print(draw(COLUMNS, rows)) end
for _, text in pairs { draw_peers(found) or "", draw_growth(found) or "" } do
  if text ~= "" then print("\n" .. text) end
end
if options.write then
  write_markdown(options.write .. "/bench/RESULTS.md", found, rows, options)
  local points = {}
  for _, row in ipairs(ROWS) do
    if not row.to and row.by ~= "cost" then points[#points + 1] = { row[1], row[2] } end
  end
  picture.write(options.write .. "/docs/bench.svg", points, found.pairs, PEERS)
end
