---@meta ngx
-- SPDX-License-Identifier: MIT
--
-- The module `ngx` for lua-language-server: what client libraries written for nginx's cosockets need.
-- Timeouts are milliseconds.

---@class ngx.ConnectOptions
---@field pool? string name of the pool of idle connections

---@class ngx.UntilOptions
---@field inclusive? boolean leave the delimiter in the result

--- A cosocket: it may be connected again after `close` and `setkeepalive`.
---@class ngx.Tcp
local Tcp = {}

---@param host string a name, an address, or "unix:/path", which takes no port
---@param port? socket.Port
---@param options? ngx.ConnectOptions
---@return integer? ok 1
---@return string? message
---@overload fun(self, path: string, options?: ngx.ConnectOptions): integer?, string?
function Tcp:connect(host, port, options) end

---@param ms number of connecting, of each send and of each receive
function Tcp:settimeout(ms) end

---@param connect_ms? number
---@param send_ms? number
---@param read_ms? number
function Tcp:settimeouts(connect_ms, send_ms, read_ms) end

---@param data socket.Data
---@return integer? bytes
---@return string? message
function Tcp:send(data) end

---@param pattern? socket.LinePattern|socket.AllPattern|integer
---@return string? data
---@return string? message
---@return string? partial
function Tcp:receive(pattern) end

---@param max? integer bytes
---@return string? data
---@return string? message
function Tcp:receiveany(max) end

---@param delimiter string
---@param options? ngx.UntilOptions
---@return fun(): string?, string?, string? reader of what comes before the delimiter
function Tcp:receiveuntil(delimiter, options) end

--- Gives the connection to its pool.
---@param ms? number how long it may be idle there; 0: for ever
---@param size? integer how many idle connections the pool holds
---@return integer? ok 1
---@return string? message
function Tcp:setkeepalive(ms, size) end

---@return integer? times that the connection came from a pool
---@return string? message
function Tcp:getreusedtimes() end

---@return integer? ok 1
---@return string? message
function Tcp:close() end

---@class ngx.socket
local socket = {}

---@return ngx.Tcp
function socket.tcp() end

---@class ngx
---@field null userdata|table stands for no value in replies
---@field socket ngx.socket
local ngx = {}

---@param text string|number
---@return string
function ngx.escape_uri(text) end

---@param text string|number
---@return string
function ngx.unescape_uri(text) end

---@param seconds number
function ngx.sleep(seconds) end

---@return number seconds since the epoch, with fractions
function ngx.now() end

---@return integer seconds since the epoch
function ngx.time() end

ngx.socket = socket

return ngx
