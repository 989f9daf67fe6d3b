-- SPDX-License-Identifier: MIT
--
-- A TFTP server (RFC 1350) with the options blksize, timeout and tsize: files of a directory can be
-- fetched, and with --write new ones put there.
--
--   lariat tftp_server.lua [--write] [DIRECTORY [HOST [PORT]]]  (default . 127.0.0.1 6900; 0: any)
--
-- Try it with curl tftp://127.0.0.1:6900/README.md. The messages are declared in wire/tftp.lua.

local socket = require "socket"
local task = require "lariat.task"
package.path = arg[0]:gsub("[^/]*$", "") .. "?.lua;" .. package.path -- modules beside this script
local tftp = require "wire.tftp"

local ATTEMPTS = 5
local NOT_FOUND, NOT_ALLOWED, DISK, BAD, EXISTS = 1, 2, 3, 4, 6 -- codes of errors

local writable = arg[1] == "--write" and table.remove(arg, 1) ~= nil
local root, host, port = arg[1] or ".", arg[2] or "127.0.0.1", math.tointeger(arg[3] or 6900)
if not io.open(root .. "/.") or not port or port < 0 or port > 65535 or arg[4] then
  io.stderr:write "usage: lariat tftp_server.lua [--write] [EXISTING DIRECTORY [HOST [PORT]]]\n"
  os.exit(2)
end

local function refuse(udp, code, message)
  tftp:write(udp, { type = "ERROR", code = code, message = message })
end

-- Of the options that a client asks for, those that are known, and what is answered to each.
local function negotiate(request, size)
  local settings, agreed = { blksize = 512, timeout = 2 }, {}
  for _, option in ipairs(request.options) do
    local name, value = option.name:lower(), math.tointeger(tonumber(option.value))
    if name == "tsize" and value then
      agreed[#agreed + 1] = { name = option.name, value = tostring(size or value) }
    elseif name == "blksize" and value and value >= 8 then
      settings.blksize = math.min(value, 65464)
      agreed[#agreed + 1] = { name = option.name, value = tostring(settings.blksize) }
    elseif name == "timeout" and value and value >= 1 and value <= 255 then
      settings.timeout = value
      agreed[#agreed + 1] = { name = option.name, value = option.value }
    end
  end
  return settings, agreed[1] and { type = "OACK", options = agreed }
end

-- Sends a message until its answer has come, which is returned; nil: give up. What is heard besides
-- is old and not answered, or everything would be sent twice from then on.
local function exchange(udp, message, settings, kind, block)
  for _ = 1, ATTEMPTS do
    tftp:write(udp, message)
    local deadline = task.now() + settings.timeout
    while task.now() < deadline do
      udp:settimeout(math.max(0, deadline - task.now()))
      local got, why = tftp:read(udp)
      if got and got.type == kind and got.block == block then return got end
      if got and got.type == "ERROR" or why == "connection refused" then return nil end
    end
  end
end

local function send_file(udp, request, path)
  local file = io.open(path, "rb")
  local size = file and file:seek "end"
  if not size or size == math.maxinteger then return refuse(udp, NOT_FOUND, "File not found") end
  local _ <close> = file
  file:seek "set"
  local settings, oack = negotiate(request, size)
  if oack and not exchange(udp, oack, settings, "ACK", 0) then return end
  local block = 0
  repeat
    block = block + 1 & 0xffff
    local data = file:read(settings.blksize) or ""
    local got = exchange(udp, { type = "DATA", block = block, data = data }, settings, "ACK", block)
  until not got or #data < settings.blksize
end

local function receive_file(udp, request, path)
  if not writable then return refuse(udp, NOT_ALLOWED, "Nothing can be written here") end
  if io.open(path, "rb") then return refuse(udp, EXISTS, "File already exists") end
  local file, message = io.open(path .. ".part", "wb")
  if not file then return refuse(udp, NOT_ALLOWED, message) end
  local settings, oack = negotiate(request)
  local answer, block, got = oack or { type = "ACK", block = 0 }, 0
  repeat
    block = block + 1 & 0xffff
    got = exchange(udp, answer, settings, "DATA", block)
    if got and not file:write(got.data) then got = refuse(udp, DISK, "Disk full") end
    answer = { type = "ACK", block = block }
  until not got or #got.data < settings.blksize
  if not file:close() or not got then return os.remove(path .. ".part") end
  if os.rename(path .. ".part", path) then tftp:write(udp, answer) end
end

-- Each transfer has a socket of its own: its port is the server's name for the transfer.
local function transfer(request, here, peer_host, peer_port)
  local udp <close> = socket.udp()
  if not udp:setsockname(here, 0) or not udp:setpeername(peer_host, peer_port) then return end
  local name = request.file:gsub("^/+", "")
  if request.mode:lower() ~= "octet" then return refuse(udp, BAD, "Mode octet only") end
  if name == "" or ("/" .. name .. "/"):find "/%.%.?/" then
    return refuse(udp, NOT_ALLOWED, "Not a name of a file here")
  end
  return (request.type == "RRQ" and send_file or receive_file)(udp, request, root .. "/" .. name)
end

local udp = socket.udp()
local ok, why = udp:setsockname(host, port)
if not ok then
  io.stderr:write("tftp_server: ", why, "\n")
  os.exit(1)
end
print(("listening on %s %d"):format(udp:getsockname()))
io.flush()

for request, peer_host, peer_port in tftp:datagrams(udp, function() end) do
  if request.type == "RRQ" or request.type == "WRQ" then
    task.spawn(transfer, request, host, peer_host, peer_port)
  end
end
