-- SPDX-License-Identifier: MIT
--
-- A declaration as a Wireshark plugin: the tree as data, behind an interpreter that is the same for
-- all (dissector_runtime.lua). Enum names are those of the declaration; what Lua functions compute
-- (checksums, masks) is shown as it is on the wire.

local Message = require "lariat.wire.node".Message
local Source = require "lariat.wire.source"
local misuse = require "lariat.misuse"
local node = require "lariat.wire.node"
local registry = require "lariat.wire.registry"
local runtime = require "lariat.wire.dissector_runtime"
local structures = require "lariat.wire.dissector_structure"
local quote = Source.quote

---@class lariat.wire.Plugin
---@field name string of the protocol in Wireshark, and before its fields
local Plugin = {}
Plugin.__index = Plugin

-- Data -------------------------------------------------------------------------------------------

-- "key=value" for plain values; nil and false are left out.
local function entry(out, key, value)
  if value == nil or value == false then return end
  out[#out + 1] = key .. "=" .. (type(value) == "string" and quote(value) or tostring(value))
end

local function sorted(t)
  local keys = {}
  for key in pairs(t) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  return keys
end

-- { [raw value] = "name" }
local function names_of(rev)
  local parts = {}
  for i, raw in ipairs(sorted(rev)) do
    parts[i] = ("[%s]=%s"):format(type(raw) == "string" and quote(raw) or raw, quote(rev[raw]))
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

--- Declares a Wireshark field; returns its number.
function Plugin:field(n, path, kind, names)
  if not n.name then return nil end
  local full = n.name == "_" and path or path .. "." .. n.name
  local abbreviation = full:lower():gsub("[^%w_.]", "_")
  local id = abbreviation .. "|" .. kind
  if self.by_name[id] then return self.by_name[id] end
  if self.by_name[abbreviation] then abbreviation = abbreviation .. "_" .. kind:lower() end
  local whole = kind:find "INT"
  local title = n.name == "_" and path:match "[^.]+$" or n.name
  local values = names and whole and names_of(names) or "nil"
  self.fields[#self.fields + 1] = ("ProtoField.new(%s,%s,ftypes.%s,%s,base.%s)"):format(
    quote(title), quote(abbreviation), kind, values, whole and "DEC" or "NONE")
  self.by_name[id], self.by_name[abbreviation] = #self.fields, #self.fields
  return #self.fields
end

-- Kinds ------------------------------------------------------------------------------------------

local KINDS = {}

function KINDS.int(self, n, path, out)
  entry(out, "size", n.size)
  entry(out, "le", n.le)
  entry(out, "signed", n.signed)
  entry(out, "const", n.const)
  local kind = (n.signed and "INT" or "UINT") .. (n.size > 4 and 64 or n.size * 8)
  entry(out, "f", self:field(n, path, kind, n.size <= 4 and n.rev or nil))
end

function KINDS.float(self, n, path, out)
  entry(out, "size", n.size)
  entry(out, "le", n.le)
  entry(out, "f", self:field(n, path, n.size == 4 and "FLOAT" or "DOUBLE"))
end

function KINDS.group(self, g, path, out)
  entry(out, "size", g.size)
  entry(out, "lsb", g.lsb)
  for _, n in ipairs(g) do
    local bits = { ("w=%d,off=%d"):format(n.w, n.off) }
    local big = n.w > 32 or n.wide ~= nil
    entry(bits, "name", n.name)
    entry(bits, "bool", n.bool)
    entry(bits, "const", n.const)
    entry(bits, "big", big)
    if n.wide then
      local parts = {}
      for i, code in ipairs(n.codes) do parts[i] = ("{%d,%d}"):format(code, n.wide[code].size) end
      bits[#bits + 1] = "wide={" .. table.concat(parts, ",") .. "}"
    end
    entry(bits, "f", self:field(n, path, n.bool and "BOOLEAN" or big and "UINT64" or "UINT32",
      not big and n.rev or nil))
    out[#out + 1] = "{" .. table.concat(bits, ",") .. "}"
  end
end

function KINDS.bytes(self, n, path, out)
  entry(out, "size", n.size)
  entry(out, "const", n.const)
  local kind = n.type == "ipv4" and "IPv4" or n.type == "ipv6" and "IPv6" or
    (n.rev or n.switches) and "STRING" or "BYTES"
  entry(out, "f", self:field(n, path, kind))
  if n.rev then out[#out + 1] = "names=" .. names_of(n.rev) end
end

function KINDS.varint(self, n, path, out)
  entry(out, "most", n.most)
  entry(out, "big", n.most ~= 4)
  entry(out, "f", self:field(n, path, n.most == 4 and "UINT32" or "UINT64"))
end

function KINDS.quicint(self, n, path, out) entry(out, "f", self:field(n, path, "UINT64")) end

local function text(self, n, path, out)
  entry(out, "delim", n.delim)
  entry(out, "num", n.num)
  entry(out, "f", self:field(n, path, n.num and "INT64" or "STRING"))
end
KINDS.upto, KINDS.word = text, text

-- How long, or how many: a number, the name of a field, or what to read.
function Plugin:length(n, path, out)
  if not node.is(n.len) then return entry(out, "len", n.len) end
  local own = node.with(n.len)
  own.name = n.lenname
  out[#out + 1] = "len=" .. self:put(own, path)
end

function KINDS.str(self, n, path, out)
  entry(out, "absent", n.absent)
  entry(out, "ends", n.ends)
  self:length(n, path, out)
  entry(out, "f", self:field(n, path, "STRING"))
end

function KINDS.rest(self, n, path, out) entry(out, "f", self:field(n, path, "BYTES")) end

local function body(self, n, path, out)
  out[#out + 1] = "fields=" .. self:sequence(n.fields, path)
end

function KINDS.size(self, n, path, out)
  entry(out, "inside", n.inside)
  entry(out, "last", n == self.last)
  entry(out, "unit", n.unit)
  self:length(n, path, out)
  body(self, n, path, out)
end

function KINDS.scope(self, n, path, out)
  entry(out, "delim", n.delim)
  body(self, n, path, out)
end

-- The value on the wire of one that scripts see.
local function raw(field, value)
  local v = field.enum and field.enum[value]
  if v == nil then return value end
  return v
end

function KINDS.switch(self, n, path, out)
  entry(out, "on", n.on)
  local cases = {}
  for i, key in ipairs(n.keys) do
    local value = key == "default" and key or raw(n.sel, key)
    cases[i] = ("[%s]=%s"):format(type(value) == "string" and quote(value) or tostring(value),
      self:sequence(n.cases[key], path))
  end
  out[#out + 1] = "cases={" .. table.concat(cases, ",") .. "}"
end

function KINDS.when(self, n, path, out)
  entry(out, "on", n.on)
  if n.value ~= nil then out[#out + 1] = "value=" .. Source.literal(raw(n.sel, n.value)) end
  body(self, n, path, out)
end

function KINDS.optional(self, n, path, out)
  entry(out, "after", n.after)
  entry(out, "words", n.fields[1] and n.fields[1].kind == "word")
  body(self, n, path, out)
end

function KINDS.record(self, n, path, out)
  entry(out, "f", self:field(n, path, "NONE"))
  body(self, n, path .. "." .. n.name, out)
end

function KINDS.list(self, n, path, out)
  entry(out, "absent", n.absent)
  entry(out, "isrecord", n.isrecord)
  self:length(n, path, out)
  if n.till then
    local value = n.till.value
    for _, f in ipairs(node.fields_of(n.item)) do
      if f.name == n.till.till then value = raw(f, value) end
    end
    entry(out, "till", n.till.till)
    entry(out, "value", value)
  end
  if n.isrecord then entry(out, "f", self:field(n, path, "NONE")) end
  out[#out + 1] = "item=" .. self:sequence(n.item, path .. "." .. n.name)
end

function KINDS.ref(self, n, path, out)
  local message = registry.target(n)
  entry(out, "to", message.name)
  entry(out, "depth", message.depth)
  entry(out, "f", self:field(n, path, "NONE"))
  if self.done[message] then return end
  self.done[message] = true
  local inner = n.name ~= "_" and path .. "." .. n.name or path
  self.messages[#self.messages + 1] = ("MESSAGES[%s]=%s"):format(quote(message.name),
    self:sequence(message.seq, inner))
end

function KINDS.custom(self, n, path, out)
  local def = n.def
  entry(out, "custom", def.name)
  entry(out, "f", self:field(n, path, def.source and "STRING" or "BYTES"))
  if def.source and not self.done[def] then
    self.done[def] = true
    self.customs[#self.customs + 1] = ("CUSTOM[%s]=%s"):format(quote(def.name or "?"), def.source)
  end
end

function KINDS.through(self, n, path, out)
  local first = n.fields[1]
  entry(out, "f", first and first.name and self:field(first, path, "BYTES"))
end

function KINDS.check(self, n, path, out)
  if node.is(n.what) then
    local bits = n.what.size > 4 and 64 or n.what.size * 8
    entry(out, "size", n.what.size)
    entry(out, "le", n.what.le)
    entry(out, "f", self:field({ name = "checksum" }, path, "UINT" .. bits))
  end
  body(self, n, path, out)
end

function KINDS.align(_, n, _, out) entry(out, "n", n.n) end
function KINDS.headers(self, n, path, out) entry(out, "f", self:field(n, path, "STRING")) end

-- Putting it together -----------------------------------------------------------------------------

function Plugin:put(n, path)
  local out = { "kind=" .. quote(n.kind) }
  entry(out, "name", n.name ~= "_" and n.name or nil)
  KINDS[n.kind](self, n, path, out)
  return "{" .. table.concat(out, ",") .. "}"
end

function Plugin:sequence(seq, path)
  local parts = {}
  for i, n in ipairs(seq) do
    if n.kind == "optional" then
      n = node.with(n)
      n.after = #seq - i -- words that must be there in any case
    end
    parts[i] = self:put(n, path)
  end
  return "{" .. table.concat(parts, ",\n ") .. "}"
end

-- The scope that a message ends with: what it lacks is known exactly.
local function last_scope(seq)
  local last = seq[#seq]
  return last and last.kind == "size" and last or nil
end

local function head(self, options)
  local lines = {
    ("-- The protocol %s, made by lariat from its declaration."):format(self.message.name),
    ("local proto = Proto(%s, %s)"):format(quote(self.name), quote(self.name:upper())),
    "local FIELDS, MESSAGES, CUSTOM = {}, {}, {}",
    ("local MAIN, STREAM = %s, %s"):format(quote(self.message.name),
      tostring(options.transport ~= "udp")),
  }
  for i, field in ipairs(self.fields) do lines[#lines + 1] = ("FIELDS[%d]=%s"):format(i, field) end
  lines[#lines + 1] = "proto.fields = FIELDS"
  return table.concat(lines, "\n")
end

local function registration(options)
  local lines = {}
  local ports = type(options.port) == "table" and options.port or { options.port }
  local transport = (options.transport or "tcp") .. ".port"
  for _, port in ipairs(ports) do
    lines[#lines + 1] = ("DissectorTable.get(%q):add(%d, proto)"):format(transport, port)
  end
  lines[#lines + 1] = ("DissectorTable.get(%q):add_for_decode_as(proto)"):format(transport)
  return table.concat(lines, "\n")
end

local function check_options(options)
  misuse.check_options(1, "dissector", options, { name = "string", port = options.port and
    type(options.port) == "table" and "table" or "integer", transport = "string" })
  if options.name and not options.name:find "^%a[%w_]*$" then
    misuse.argument(1, "dissector", "option 'name': letters, digits and _ expected")
  elseif options.transport and options.transport ~= "tcp" and options.transport ~= "udp" then
    misuse.argument(1, "dissector", "option 'transport': \"tcp\" or \"udp\" expected")
  end
end

--- The text of a Wireshark plugin. Its protocol is called "lariat_" and the message's name, because
--- Wireshark refuses a name that it has already.
---@param options? {name?: string, transport?: "tcp"|"udp", port?: integer|integer[]}
---@return string
function Message:dissector(options)
  misuse.check_self(self, Message, "dissector")
  options = options or {}
  if type(options) ~= "table" then misuse.type(1, "dissector", "table of options", options) end
  check_options(options)
  local plugin = setmetatable({
    message = self, name = options.name or "lariat_" .. self.name:lower():gsub("%W", "_"),
    fields = {}, by_name = {}, messages = {}, customs = {}, done = { [self] = true },
    last = last_scope(self.seq),
  }, Plugin)
  local main = ("MESSAGES[%s]=%s"):format(quote(self.name), plugin:sequence(self.seq, plugin.name))
  return table.concat({
    head(plugin, options), table.concat(plugin.customs, "\n"), table.concat(plugin.messages, "\n"),
    main, runtime, structures, registration(options),
  }, "\n") .. "\n"
end
