-- SPDX-License-Identifier: MIT
-- How a probe is written and printed.
--
-- A scenario talks to recorded objects. Every call on one prints a line
--
--     section/scenario/3 client:receive("*l"): (3) "hello", nil, nil
--
-- with the number of results and each of them, and hands the results on. What differs from run to
-- run (ports, addresses, descriptors, ages, the temporary directory) is replaced by a placeholder;
-- integral floats print as integers, because lariat counts in integers. Everything else is exact.
--
-- Calls are compiled from text so that each is made the way a script makes it, `object:method()`
-- or `module.name()`: the words of Lua's argument errors depend on it.

local socket = require "socket"

local harness = {}

---@class Recorded  a proxy: every field is a function that calls, prints and returns

---@type table<Recorded, any>
local originals = setmetatable({}, {__mode = "k"})
---@type table<any, string>  the name that a recorded object has in output
local labels = setmetatable({}, {__mode = "k"})
---@type any[]  what the end of the scenario closes
local opened = {}
---@type table<string, boolean>  names used so far, since the lines of two runs are matched
local seen = {}

local section, scenario, step = "", "", 0

-- Long enough that only a bug reaches it, short enough that a bug does not hang the run.
harness.PATIENCE = 1
harness.SCRATCH = os.tmpname()

-- A number this large is taken for an ephemeral port: no other that is shown is as large.
local SMALLEST_PORT = 10000

------------------------------------------------------------------------------------------------
-- Values as text
------------------------------------------------------------------------------------------------

---@param text string
---@return string
local function quote(text)
  if text:find "^[1-9]%d%d%d%d$" then return '"<port>"' end
  text = text:gsub(harness.SCRATCH, "<tmp>", 1):gsub("0x%x%x%x+", "<address>")
  local size = #text
  if size > 200 then text = text:sub(1, 20) .. "..." end
  text = text:gsub('[%c"\\\128-\255]', function(char)
    return char == "\n" and "\\n" or ("\\%03d"):format(char:byte())
  end)
  return size > 200 and ('"%s"[%d]'):format(text, size) or ('"%s"'):format(text)
end

---@param number number
---@return string
local function show_number(number)
  local integer = math.tointeger(number)
  if not integer then return ("%.6g"):format(number) end
  if integer >= SMALLEST_PORT and integer <= 65535 then return "<port>" end
  return tostring(integer)
end

local show_value

---@param list table
---@return string
local function show_table(list)
  local entries = {}
  for key, value in pairs(list) do
    entries[#entries + 1] = ("[%s]=%s"):format(show_value(key), show_value(value))
  end
  table.sort(entries)
  return "{" .. table.concat(entries, ", ") .. "}"
end

---@param value any
---@return string
function show_value(value)
  local kind = type(value)
  if originals[value] then value = originals[value] end
  if labels[value] then return "<" .. labels[value] .. ">" end
  if kind == "string" then return quote(value) end
  if kind == "number" then return show_number(value) end
  if kind == "table" then return show_table(value) end
  if kind == "userdata" then return (tostring(value):gsub("0x%x+", "<address>")) end
  if kind == "function" or kind == "thread" then return kind end
  return tostring(value)
end

---@return string
local function show_values(...)
  local texts = {}
  for i = 1, select("#", ...) do texts[i] = show_value((select(i, ...))) end
  return table.concat(texts, ", ")
end

---@param message any
---@return string
local function show_error(message)
  if type(message) ~= "string" then return "throws " .. show_value(message) end
  return "throws " .. quote((message:gsub("^[^%s:]+:%d+: ", "", 1):gsub("^%[.-%]:%d+: ", "", 1)))
end

---@param label string
---@param text string
local function write_line(label, text)
  local name = ("%s/%s/%s"):format(section, scenario, label)
  assert(not seen[name], name)
  seen[name] = true
  print(name .. ": " .. text)
end

---@param label string
---@param ok boolean
local function write_outcome(label, ok, ...)
  if ok then
    write_line(label, ("(%d) %s"):format(select("#", ...), show_values(...)))
  else
    write_line(label, show_error((...)))
  end
end

------------------------------------------------------------------------------------------------
-- Recorded calls
------------------------------------------------------------------------------------------------

---@alias Mask fun(...): ...  replaces what varies in the results before they are printed

---@param port any  LuaSocket says the port of getsockname in a string, lariat in an integer
local function mask_endpoint(host, port, ...)
  if host and type(port) == "string" then port = tonumber(port) or port end
  return host, port, ...
end

---@type table<string, Mask>
local masks = {
  getpeername = mask_endpoint,
  getsockname = mask_endpoint,
  getfd = function(fd, ...)
    if type(fd) == "number" and fd >= 0 then fd = "<fd>" end
    return fd, ...
  end,
  getstats = function(received, sent, age, ...)
    return received, sent, type(age) == "number" and "<age>" or age, ...
  end,
}

--- For failures whose words depend on the machine: keeps the types, hides the text.
---@type Mask
local function mask_message(result, message, ...)
  return result, type(message) == "string" and "<message>" or message, ...
end

---@type table<string, function>
local compiled = {}

---@param separator "."|":"
---@param name string
---@return function  calls the named field of its first argument with the others
local function compile(separator, name)
  local key = separator .. name
  if not compiled[key] then
    local call = separator == ":" and "object:%s(select(2, ...))" or "object.%s(select(2, ...))"
    local text = "local object = ...; local r = table.pack(" .. call .. ")"
    text = text:format(name) .. " return table.unpack(r, 1, r.n)"
    compiled[key] = assert(load(text, "=probe"))
  end
  return compiled[key]
end

---@return ...  the same values with recorded objects replaced by what they stand for
local function unwrap(...)
  local values = table.pack(...)
  for i = 1, values.n do
    local value = values[i]
    if originals[value] then
      values[i] = originals[value]
    elseif type(value) == "table" and not getmetatable(value) then
      local copy = {}
      for key, entry in pairs(value) do copy[key] = originals[entry] or entry end
      values[i] = copy
    end
  end
  return table.unpack(values, 1, values.n)
end

--- Prints what a call made of its chance and hands its results on; an error ends here.
---@param what string
---@param mask Mask?
---@param ok boolean
---@return ...
local function report(what, mask, ok, ...)
  if ok and mask then
    -- a mask names its parameters; the count of results must survive that
    local shown = table.pack(mask(...))
    write_outcome(what, true, table.unpack(shown, 1, select("#", ...)))
  else
    write_outcome(what, ok, ...)
  end
  if ok then return ... end
end

---@param label string
---@param object any
---@param separator "."|":"
---@param mask Mask?
---@return any
local function record(label, object, separator, mask)
  local function perform(name, ...)
    step = step + 1
    local what = ("%d %s%s%s(%s)"):format(step, label, separator, name, show_values(...))
    return report(what, mask or masks[name], pcall(compile(separator, name), object, unwrap(...)))
  end
  local proxy = setmetatable({}, {
    __index = function(_, name)
      if separator == ":" then return function(_, ...) return perform(name, ...) end end
      return function(...) return perform(name, ...) end
    end,
  })
  originals[proxy] = object
  return proxy
end

--- A recorded object, closed at the end of the scenario. Given nil, returns nil.
---@param label string
---@param object any
---@param mask Mask?
---@return any
function harness.object(label, object, mask)
  if object == nil then return nil end
  labels[object] = label
  opened[#opened + 1] = object
  return record(label, object, ":", mask)
end

--- A recorded module, or any other table of functions.
---@param label string
---@param module table
---@param mask Mask?
---@return any
function harness.module(label, module, mask) return record(label, module, ".", mask) end

harness.mask_message = mask_message

--- What a recorded object stands for.
---@param proxy any
---@return any
function harness.raw(proxy) return originals[proxy] end

--- Prints values that no recorded call returns.
---@param label string
function harness.show(label, ...)
  step = step + 1
  write_outcome(("%d %s"):format(step, label), true, ...)
end

--- Prints what a function returns or throws.
---@param label string
---@param fn function
---@return ...
function harness.try(label, fn, ...)
  step = step + 1
  return report(("%d %s"):format(step, label), nil, pcall(fn, ...))
end

------------------------------------------------------------------------------------------------
-- Scenarios
------------------------------------------------------------------------------------------------

---@param name string
function harness.section(name) section = name end

--- Runs one scenario, closes what it opened, and prints the error that ended it early, if any.
---@param name string
---@param body fun()
function harness.scenario(name, body)
  scenario, step = name, 0
  local ok, message = pcall(body)
  if not ok then write_line("ended early", show_error(message)) end
  for i = #opened, 1, -1 do
    pcall(function() opened[i]:close() end)
    opened[i] = nil
  end
end

--- Lets the kernel carry what was sent, an acknowledgement or a reset over the loopback.
function harness.settle() socket.sleep(0.005) end

------------------------------------------------------------------------------------------------
-- Sockets to start from; making them prints nothing
------------------------------------------------------------------------------------------------

---@param create (fun(): any)?  socket.tcp4 unless given
---@param host string?
---@return any server, integer port
function harness.tcp_server(create, host)
  local server = assert((create or socket.tcp4)())
  assert(server:bind(host or "127.0.0.1", 0))
  assert(server:listen(8))
  server:settimeout(harness.PATIENCE)
  local _, port = server:getsockname()
  return harness.object("server", server), assert(math.tointeger(port))
end

---@param create (fun(): any)?
---@param host string?
---@return any client, any conn, any server
function harness.tcp_pair(create, host)
  local server, port = harness.tcp_server(create, host)
  local client = assert((create or socket.tcp4)())
  client:settimeout(harness.PATIENCE)
  assert(client:connect(host or "127.0.0.1", port))
  local conn = assert(originals[server]:accept())
  conn:settimeout(harness.PATIENCE)
  return harness.object("client", client), harness.object("conn", conn), server
end

---@param label string
---@param create (fun(): any)?  socket.udp4 unless given
---@param host string?
---@return any udp, integer port
function harness.udp_bound(label, create, host)
  local udp = assert((create or socket.udp4)())
  udp:settimeout(harness.PATIENCE)
  assert(udp:setsockname(host or "127.0.0.1", 0))
  local _, port = udp:getsockname()
  return harness.object(label, udp), assert(math.tointeger(port))
end

--- A port that refuses: bound, so that nobody else takes it, and not listening.
---@return integer
function harness.refusing_port()
  local holder = assert(socket.tcp4())
  assert(holder:bind("127.0.0.1", 0))
  harness.object("holder", holder)
  local _, port = holder:getsockname()
  return assert(math.tointeger(port))
end

---@return boolean  whether this machine has the IPv6 loopback; prints a line if not
function harness.has_ipv6()
  local probe = socket.tcp6()
  local ok = probe and probe:bind("::1", 0)
  if probe then probe:close() end
  if not ok then harness.show("ipv6 unavailable") end
  return ok and true or false
end

return harness
