---@meta lariat.wire
-- SPDX-License-Identifier: MIT
--
-- The module `lariat.wire` for lua-language-server.

--- A type, a field or a structure. Called with a string it gets a name, then named values or a
--- constant.
---@class lariat.wire.Field
---@operator call(any): lariat.wire.Field

--- A type that a script decodes and encodes.
---@class lariat.wire.Custom
---@field name? string
---@field decode fun(s: string, p: integer, e: integer, at?: integer, ...: any): any, integer|string|nil
---@field encode fun(value: any, offset?: integer, context?: table, ...: any): string
---@field uses? string[] fields whose values are further arguments
---@field offset? boolean it needs its place in the message
---@field max? integer the most bytes it has in a stream; default 4096
---@field random? fun(r: fun(n: integer): integer): any
---@field source? string a function in the Lua of Wireshark

---@class lariat.wire.Encoding
---@field decode fun(bytes: string, ...: any): string?, string?
---@field encode fun(bytes: string, ...: any): string
---@field uses? string[]

--- Where a field of a message lies.
---@class lariat.wire.Span
---@field at integer offset of its first byte
---@field size integer bytes
---@field path string
---@field value any
---@field what string its type
---@field bit? integer of bits: where they begin
---@field width? integer of bits: how many
---@field lsb? boolean of bits: counted from the lowest

---@class lariat.wire.CheckOptions
---@field runs? integer default 100
---@field seed? integer the first one; default 1
---@field canonical? boolean what decodes encodes to the same bytes

---@class lariat.wire.DissectorOptions
---@field name? string of the protocol; default "lariat_" and the message's name
---@field transport? "tcp"|"udp" default "tcp"
---@field port? integer|integer[]

--- A declared message. Called with a string it is a field of another message.
---@class lariat.wire.Message
---@field name string
---@field limit integer bytes
---@field depth integer
---@operator call(string): lariat.wire.Field
local Message = {}

--- The bytes of a message. Raises if a value is missing or does not fit.
---@param value table
---@return string
function Message:encode(value) end

--- Decodes the message that begins at s[at].
---@param s string
---@param at? integer default 1
---@return table? value
---@return integer|string next the position behind it; or why it cannot be decoded
---@return integer? lacking of a message that is cut: at least so many bytes more
function Message:decode(s, at) end

--- The next message of a stream or datagram socket, under its timeout.
---@param conn any
---@return table? value
---@return string? message
function Message:read(conn) end

--- An iterator over the messages of a stream. Ends at its end, raises any other failure.
---@param conn any
---@return fun(): table?
function Message:messages(conn) end

--- Sends a message, as conn:send or udp:sendto do.
---@param conn any
---@param value table
---@param host? string
---@param port? integer
function Message:write(conn, value, host, port) end

--- An iterator over datagrams: message, host, port.
---@param conn any
---@param refused? fun(why: string, data: string, host: string, port: integer)
---@return fun(): table?, string?, integer?
function Message:datagrams(conn, refused) end

--- Without a connection: takes bytes as they come, returns the messages that they complete.
---@return fun(bytes: string): table[]?, string?, table[]?
function Message:decoder() end

--- A hexdump with a line for each field.
---@param s string
---@return string
function Message:dump(s) end

--- Where each field lies; why the message cannot be decoded; its size.
---@param s string
---@return lariat.wire.Span[]
---@return string? message
---@return integer size
function Message:spans(s) end

--- A diagram and a table, in Markdown.
---@return string
function Message:describe() end

--- A random message, the same for a seed.
---@param seed integer|fun(n: integer): integer
---@return table
function Message:random(seed) end

--- The smallest value found for which fails(value) is still true.
---@param value table
---@param fails fun(value: table): boolean
---@return table
function Message:shrink(value, fails) end

--- The text of a Wireshark plugin.
---@param options? lariat.wire.DissectorOptions
---@return string
function Message:dissector(options) end

---@alias lariat.wire.Length lariat.wire.Field|string|integer

---@class lariat.wire
---@field cstr lariat.wire.Field
---@field f32 lariat.wire.Field
---@field f32le lariat.wire.Field
---@field f64 lariat.wire.Field
---@field f64le lariat.wire.Field
---@field flag lariat.wire.Field
---@field headers lariat.wire.Field
---@field i16 lariat.wire.Field
---@field i16le lariat.wire.Field
---@field i24 lariat.wire.Field
---@field i24le lariat.wire.Field
---@field i32 lariat.wire.Field
---@field i32le lariat.wire.Field
---@field i40 lariat.wire.Field
---@field i40le lariat.wire.Field
---@field i48 lariat.wire.Field
---@field i48le lariat.wire.Field
---@field i56 lariat.wire.Field
---@field i56le lariat.wire.Field
---@field i64 lariat.wire.Field
---@field i64le lariat.wire.Field
---@field i8 lariat.wire.Field
---@field ipv4 lariat.wire.Field
---@field ipv6 lariat.wire.Field
---@field line lariat.wire.Field
---@field numline lariat.wire.Field
---@field quicint lariat.wire.Field
---@field rest lariat.wire.Field
---@field u16 lariat.wire.Field
---@field u16le lariat.wire.Field
---@field u24 lariat.wire.Field
---@field u24le lariat.wire.Field
---@field u32 lariat.wire.Field
---@field u32le lariat.wire.Field
---@field u40 lariat.wire.Field
---@field u40le lariat.wire.Field
---@field u48 lariat.wire.Field
---@field u48le lariat.wire.Field
---@field u56 lariat.wire.Field
---@field u56le lariat.wire.Field
---@field u64 lariat.wire.Field
---@field u64le lariat.wire.Field
---@field u8 lariat.wire.Field
---@field varint lariat.wire.Field
---@field varint4 lariat.wire.Field
---@field word lariat.wire.Field
---@field zigzag lariat.wire.Field
local wire = {}

--- message "name" { fields }; `limit` and `depth` may be among them.
---@param name string
---@return fun(fields: table): lariat.wire.Message
function wire.message(name) end

--- The names of this module behind those of an environment: `local _ENV = wire.names(_ENV)`.
---@param environment table
---@return table
function wire.names(environment) end

---@param w integer 1 to 64
---@return lariat.wire.Field
function wire.bits(w) end

---@param fields lariat.wire.Field[] bits, from the lowest up
---@return lariat.wire.Field[]
function wire.lsb(fields) end

---@param base lariat.wire.Field bits
---@param wider table<integer, lariat.wire.Field> the number that follows such a value
---@return lariat.wire.Field
function wire.escaped(base, wider) end

---@param size integer
---@return lariat.wire.Field
function wire.bytes(size) end

---@param length lariat.wire.Length
---@param options? {absent?: integer, ends?: string, limit?: integer}
---@return lariat.wire.Field
function wire.str(length, options) end

---@param delimiter string
---@return lariat.wire.Field
function wire.upto(delimiter) end

---@param text lariat.wire.Field word, line or upto
---@return lariat.wire.Field
function wire.number(text) end

---@param size integer
---@return lariat.wire.Field
function wire.padding(size) end

---@param n integer
---@return lariat.wire.Field
function wire.align(n) end

---@param base lariat.wire.Field
---@param to fun(raw: any): any
---@param from fun(value: any): any
---@param random? fun(r: fun(n: integer): integer): any
---@return lariat.wire.Field
function wire.mapped(base, to, from, random) end

---@param definition lariat.wire.Custom
---@return lariat.wire.Field
function wire.custom(definition) end

---@param length lariat.wire.Field|string
---@param name? string|table
---@param options? {unit?: integer, limit?: integer}
---@return fun(fields: table): lariat.wire.Field
function wire.size(length, name, options) end

---@param field string
---@return fun(cases: table): lariat.wire.Field
function wire.switch(field) end

---@param field string
---@param value? any
---@return fun(fields: table): lariat.wire.Field
function wire.when(field, value) end

---@param fields table
---@return lariat.wire.Field
function wire.optional(fields) end

---@param count lariat.wire.Length|table
---@param options? {absent?: integer, limit?: integer}
---@return lariat.wire.Field
function wire.list(count, options) end

---@param field string
---@param value any
---@return table
function wire.till(field, value) end

---@param name string
---@return fun(fields: table): lariat.wire.Field
function wire.record(name) end

--- A checksum over fields; or, given a message, the check of its declaration.
---@overload fun(message: lariat.wire.Message, options?: lariat.wire.CheckOptions)
---@param f fun(bytes: string, ...: any): integer
---@param field string|lariat.wire.Field
---@param options? {uses?: string[]}
---@return fun(fields: table): lariat.wire.Field
function wire.check(f, field, options) end

---@param definition lariat.wire.Encoding
---@return fun(fields: table): lariat.wire.Field
function wire.through(definition) end

return wire
