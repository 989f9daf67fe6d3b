std = "lua54"
max_line_length = 100
self = false -- a method may ignore its object
codes = true

files["spec"].std = "+busted"

-- The names of lariat.wire, as `local _ENV = wire.names(_ENV)` gives them to a script.
local wire = { "align", "bits", "bytes", "check", "cstr", "custom", "escaped", "flag", "headers",
  "ipv4", "ipv6", "line", "list", "lsb", "mapped", "message", "number", "numline", "optional",
  "padding", "quicint", "record", "rest", "size", "str", "switch", "through", "till", "upto",
  "varint", "varint4", "when", "word", "zigzag", "f32", "f64", "f32le", "f64le" }
for bits = 8, 64, 8 do
  for _, sign in ipairs { "u", "i" } do
    wire[#wire + 1] = sign .. bits
    wire[#wire + 1] = sign .. bits .. "le"
  end
end
for _, folder in ipairs { "examples", "spec/wire", "bench", "lua/lariat/internal/dns/message.lua" } do
  files[folder].read_globals = wire
  files[folder].ignore = { "211/_ENV" }
end
files["spec/wire"].std = "+busted"
