---@meta socket.unix
-- SPDX-License-Identifier: MIT
--
-- The module `socket.unix` for lua-language-server.

--- What unix stream sockets of all kinds have in common.
---@class socket.Unix : socket.Socket
local Unix = {}

---@return string? path "" if it has none
---@return string? message
function Unix:getsockname() end

---@return string? path
---@return string? message
function Unix:getpeername() end

---@class socket.UnixMaster : socket.Unix
local UnixMaster = {}

---@param path string
---@return integer? ok 1
---@return string? message
function UnixMaster:bind(path) end

---@param path string
---@return integer? ok 1
---@return string? message
function UnixMaster:setsockname(path) end

---@param path string
---@return integer? ok 1
---@return string? message
function UnixMaster:connect(path) end

---@param path string
---@return integer? ok 1
---@return string? message
function UnixMaster:setpeername(path) end

---@param backlog? integer 32 by default
---@return integer? ok 1
---@return string? message
function UnixMaster:listen(backlog) end

---@class socket.UnixClient : socket.Unix, socket.Stream

---@class socket.UnixServer : socket.Unix
local UnixServer = {}

--- Waits for a connection.
---@return socket.UnixClient? client
---@return string? message
function UnixServer:accept() end

--- Runs `handler` for each connection in a task of its own.
---@param handler fun(conn: socket.UnixClient)
---@param options? socket.ServeOptions
---@return true?
---@return string? message
function UnixServer:serve(handler, options) end

--- What `unix.stream` makes: it can still become a client or a server.
---@class socket.UnixAny : socket.UnixMaster, socket.UnixClient, socket.UnixServer

---@class socket.UnixDatagrams : socket.Datagrams
local UnixDatagrams = {}

---@param path string
---@return integer? ok 1
---@return string? message
function UnixDatagrams:bind(path) end

---@param path string
---@return integer? ok 1
---@return string? message
function UnixDatagrams:setsockname(path) end

---@param path string
---@return integer? ok 1
---@return string? message
function UnixDatagrams:connect(path) end

---@param path string
---@return integer? ok 1
---@return string? message
function UnixDatagrams:setpeername(path) end

---@param datagram string
---@param path string
---@return integer? bytes
---@return string? message
function UnixDatagrams:sendto(datagram, path) end

---@param size? integer
---@return string? datagram
---@return string path of the sender, or a message
function UnixDatagrams:receivefrom(size) end

---@return string? path "" if it has none
---@return string? message
function UnixDatagrams:getsockname() end

---@return string? path
---@return string? message
function UnixDatagrams:getpeername() end

---@class socket.unix
---@field _VERSION string
---@overload fun(): socket.UnixAny?, string?
local unix = {}

---@return socket.UnixAny? master
---@return string? message
function unix.stream() end

---@return socket.UnixAny? master
---@return string? message
function unix.tcp() end

---@return socket.UnixDatagrams? socket
---@return string? message
function unix.dgram() end

---@return socket.UnixDatagrams? socket
---@return string? message
function unix.udp() end

return unix
