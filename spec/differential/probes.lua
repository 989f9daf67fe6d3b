-- SPDX-License-Identifier: MIT
-- The differential test: this script prints, a line per probe, what the LuaSocket API does in
-- every situation it can produce alone in one process. Run under two implementations,
--
--     lua5.4 spec/differential/probes.lua > stock.txt
--     lariat spec/differential/probes.lua > ours.txt
--
-- the outputs must be equal, line by line. Sections named as arguments run alone.
--
-- No probe waits for another process: a connect over the loopback completes before the accept,
-- and what is sent is small enough for the kernel to keep. Left out are lariat's documented
-- differences: integers for floats, patterns without a star, TCP_NODELAY at birth, datagrams
-- above 8,192 bytes, the limit of 1,024 descriptors in select.

local here = arg[0]:match("^.*/") or "./"
package.path = here .. "?.lua;" .. package.path

local harness = require "harness"

local sections = {
  "library", "classes", "tcp_life", "tcp_names", "receive", "send", "timeouts",
  "options", "udp", "unix_sockets", "readiness", "helpers", "exceptions", "names",
}
if #arg > 0 then sections = arg end

io.stdout:setvbuf("line")
for _, name in ipairs(sections) do
  harness.section(name)
  local ok, message = pcall(require, "probe_" .. name)
  if not ok then print(name .. ": the section ended early: " .. tostring(message)) end
end
os.remove(harness.SCRATCH)
