---@meta lariat.test
-- SPDX-License-Identifier: MIT
--
-- The module `lariat.test` for lua-language-server: what specs of network code need.

--- What `test.serve` makes; a `<close>` variable. It is closed at the end of the test.
---@class lariat.test.Server
---@field host string an address, or a unix socket's path
---@field port? integer nil for a unix socket
---@field server socket.TcpServer
---@field task lariat.Task the task that serves
local Server = {}

--- A new connection to the server, closed at the end of the test.
---@return socket.TcpClient
function Server:connect() end

--- Ends the server and its handlers.
function Server:close() end

---@class lariat.test.ServeOptions : socket.ServeOptions
---@field family? "inet"|"inet6"|"unix" "inet" by default

---@class lariat.test
local test = {}

--- Two connected streams, closed at the end of the test.
---@param family? "inet"|"inet6"|"unix" "inet" by default
---@return socket.TcpClient client the connecting end
---@return socket.TcpClient accepted
function test.pair(family) end

--- Runs handler(conn) for each connection to a port of its own, until the end of the test.
---@param handler fun(conn: socket.TcpClient)
---@param options? lariat.test.ServeOptions
---@return lariat.test.Server
function test.serve(handler, options) end

--- Calls f again and again until it returns something true, which this returns.
---@generic T
---@param f fun(): T?
---@param seconds? number 5 by default
---@return T
function test.eventually(f, seconds) end

return test
