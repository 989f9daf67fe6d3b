---@meta socket
-- SPDX-License-Identifier: MIT
--
-- The module `socket` for lua-language-server. Durations are seconds, sizes are bytes. What the
-- functions do in full is in docs/reference.md.

---@alias socket.Port integer|string # 0 to 65535, or a string holding that
---@alias socket.LinePattern
---| "*l" # a line without its end
---| "*L" # a line with its end
---| "l"
---| "L"
---@alias socket.AllPattern
---| "*a" # everything to the end of the stream
---| "a"

---@alias socket.BooleanOption
---| "keepalive" | "reuseaddr" | "reuseport" | "tcp-nodelay" | "tcp-fastopen-connect"
---| "ipv6-v6only" | "dontroute" | "broadcast" | "ip-multicast-loop" | "ipv6-multicast-loop"
---| "cork"
---@alias socket.IntegerOption
---| "recv-buffer-size" | "send-buffer-size" | "tcp-keepidle" | "tcp-keepcnt" | "tcp-keepintvl"
---| "tcp-defer-accept" | "tcp-fastopen" | "ip-multicast-ttl" | "ipv6-unicast-hops"
---| "ipv6-multicast-hops" | "ipv6-multicast-if" | "maxreceive"
---@alias socket.GroupOption
---| "ip-add-membership" | "ip-drop-membership"
---@alias socket.Group6Option
---| "ipv6-add-membership" | "ipv6-drop-membership"

---@class socket.Linger
---@field on boolean
---@field timeout integer seconds

---@class socket.Membership
---@field multiaddr string the group's IPv4 address
---@field interface string an address of the interface, or "*"

---@class socket.Membership6
---@field multiaddr string the group's IPv6 address
---@field interface? integer index of the interface

---@alias socket.UnixHandler fun(conn: socket.UnixClient)

---@class socket.ServeOptions
---@field limit? integer connections at once
---@field timeout? number seconds, set on each connection
---@field name? string of the handlers' tasks; the server's address unless given

---@class socket.BindServeOptions : socket.ServeOptions
---@field backlog? integer 128 by default
---@field ready? fun(server: socket.TcpServer) called once it listens

---@class socket.ConnectOptions
---@field timeout? number seconds to look up and to connect
---@field local_address? string
---@field local_port? socket.Port
---@field family? "inet"|"inet6"|"unspec"

---@class socket.UntilOptions
---@field inclusive? boolean leave the delimiter in the result
---@field max? integer bytes

---@alias socket.Data string|number|socket.Data[]

-- Sockets -----------------------------------------------------------------------------------------

--- What every socket can be asked. A socket is a `<close>` variable.
---@class socket.Socket
---@field class string "tcp{client}", "udp{unconnected}", ...
local Socket = {}

--- Closes at once and without waiting; what was sent is still delivered in the background, also if
--- the peer had sent what nobody read.
---@return integer ok 1
function Socket:close() end

--- Limits how long a call may wait. nil: as long as it takes; 0: not at all.
---@param seconds? number
---@param mode? "b"|"t"|"r" one limit alone is for the whole call; with both, "t" or "r" is for the
---  call, and "b" (the default) for each single wait in it
---@return integer ok 1
function Socket:settimeout(seconds, mode) end

---@return number block seconds, -1: none
---@return number total
function Socket:gettimeout() end

---@param name string
---@param value? any
---@return integer? ok 1
---@return string? message
---@overload fun(self, name: socket.BooleanOption, value: boolean): integer?, string?
---@overload fun(self, name: socket.IntegerOption, value: integer): integer?, string?
---@overload fun(self, name: "recv-timeout"|"send-timeout", value: number): integer?, string?
---@overload fun(self, name: "linger", value: socket.Linger): integer?, string?
---@overload fun(self, name: "bindtodevice"|"ip-multicast-if", value: string): integer?, string?
---@overload fun(self, name: socket.GroupOption, value: socket.Membership): integer?, string?
---@overload fun(self, name: socket.Group6Option, value: socket.Membership6): integer?, string?
function Socket:setoption(name, value) end

---@param name string
---@return any value
---@return string? message
---@overload fun(self, name: socket.BooleanOption): boolean?, string?
---@overload fun(self, name: socket.IntegerOption): integer?, string?
---@overload fun(self, name: "recv-timeout"|"send-timeout"): number?, string?
---@overload fun(self, name: "linger"): socket.Linger?, string?
---@overload fun(self, name: "bindtodevice"|"ip-multicast-if"|"error"): string?, string?
function Socket:getoption(name) end

--- Whether received bytes wait in the runtime's buffer.
---@return boolean
function Socket:dirty() end

--- The descriptor's number, -1 if there is none; nothing is pending on it afterwards.
---@return integer
function Socket:getfd() end

--- Gives the object another descriptor; the old one stays open.
---@param descriptor integer
function Socket:setfd(descriptor) end

--- What TCP clients, unix stream clients, standard streams and pipes of children have in common.
---@class socket.Stream : socket.Socket
local Stream = {}

--- Waits for a unit and returns it: a line by default. On failure nil, a message, and what has come
--- of it.
---@param pattern? socket.LinePattern|socket.AllPattern|integer a number: exactly so many bytes
---@param prefix? string put in front of the result; counts towards a number of bytes
---@return string? data
---@return string? message
---@return string? partial
---@overload fun(self): string?, string?, string?
---@overload fun(self, line: socket.LinePattern, prefix?: string): string?, string?, string?
---@overload fun(self, all: socket.AllPattern, prefix?: string): string?, string?, string?
---@overload fun(self, bytes: integer, prefix?: string): string?, string?, string?
function Stream:receive(pattern, prefix) end

--- Waits for at least one byte and returns what there is.
---@param max? integer bytes, 65536 by default
---@return string? data
---@return string? message
---@return string? empty ""
function Stream:receiveany(max) end

--- Returns the bytes before a delimiter, and takes that, too.
---@param delimiter string
---@param options? socket.UntilOptions
---@return string? data
---@return string? message
---@return string? partial
function Stream:receiveuntil(delimiter, options) end

--- An iterator over lines, or over units of another pattern. Ends at the end of the stream, raises
--- any other failure, also that the stream was closed here.
---@param pattern? socket.LinePattern|integer
---@return fun(): string?
function Stream:lines(pattern) end

--- Waits for n bytes, from a place on, and returns them without taking them.
---@param n integer
---@param max? integer return up to so many, if they have come; default n
---@param from? integer bytes before those; default 0
---@return string? data shorter at the end of the stream
---@return integer|string taken how many bytes have been taken so far; or a message
function Stream:peek(n, max, from) end

--- Takes bytes that have come. Never waits.
---@param n integer
---@param taken? integer as peek told: take nothing if somebody has taken something since
---@return boolean done
function Stream:skip(n, taken) end

--- Sends data[i, j]. On failure nil, a message, and the index of the last byte sent.
---@param data socket.Data
---@param i? integer
---@param j? integer
---@return integer? last
---@return string? message
---@return integer? last_sent
function Stream:send(data, i, j) end

--- Waits until the kernel has everything that was sent.
---@return integer? ok 1
---@return string? message
function Stream:flush() end

--- Ends one direction or both; what was sent before is delivered first.
---@param mode? "both"|"send"|"receive"
---@return integer? ok 1
---@return string? message
function Stream:shutdown(mode) end

--- Copies to another stream until the end, which is passed on.
---@param to socket.Stream
---@return integer? bytes
---@return string? message
---@return integer? moved on failure
function Stream:pipe(to) end

---@return integer received bytes
---@return integer sent bytes
---@return number age seconds
function Stream:getstats() end

---@param received? integer
---@param sent? integer
---@param age? number seconds
---@return integer ok 1
function Stream:setstats(received, sent, age) end

-- TCP ---------------------------------------------------------------------------------------------

--- What TCP sockets of all kinds have in common.
---@class socket.Tcp : socket.Socket
local Tcp = {}

---@return string? address
---@return integer|string port or a message
---@return "inet"|"inet6" family
function Tcp:getsockname() end

---@return string? address
---@return integer|string port or a message
---@return "inet"|"inet6" family
function Tcp:getpeername() end

---@return "inet4"|"inet6"
function Tcp:getfamily() end

--- Connects; the object becomes a client. A name with several addresses is a race.
---@param host string
---@param port socket.Port
---@return integer? ok 1
---@return string? message
function Tcp:connect(host, port) end

---@param host string
---@param port socket.Port
---@return integer? ok 1
---@return string? message
function Tcp:setpeername(host, port) end

--- Neither connected nor listening yet. `connect` makes a socket.TcpClient of it, `listen` a
--- socket.TcpServer.
---@class socket.TcpMaster : socket.Tcp
local TcpMaster = {}

---@param host string address or name, "*": every address
---@param port socket.Port 0: any free one
---@return integer? ok 1
---@return string? message
function TcpMaster:bind(host, port) end

---@param host string
---@param port socket.Port
---@return integer? ok 1
---@return string? message
function TcpMaster:setsockname(host, port) end

---@param backlog? integer 32 by default
---@return integer? ok 1
---@return string? message
function TcpMaster:listen(backlog) end

---@class socket.TcpClient : socket.Tcp, socket.Stream

--- What servers have in common.
---@class socket.TcpServer : socket.Tcp
local TcpServer = {}

--- Waits for a connection.
---@return socket.TcpClient? client
---@return string? message
function TcpServer:accept() end

--- Runs `handler` for each connection in a task of its own, until the server is closed and the
--- handlers have finished.
---@param handler fun(conn: socket.TcpClient)
---@param options? socket.ServeOptions
---@return true?
---@return string? message
function TcpServer:serve(handler, options) end

--- What `socket.tcp` makes: it can still become a client or a server.
---@class socket.TcpAny : socket.TcpMaster, socket.TcpClient, socket.TcpServer

-- Datagrams ---------------------------------------------------------------------------------------

--- A datagram and where it came from or goes to: { data, host, port }.
---@class socket.Datagram
---@field [1] string
---@field [2] string
---@field [3] integer

---@class socket.Datagrams : socket.Socket
local Datagrams = {}

--- Waits for a datagram; what is longer than `size` is cut.
---@param size? integer 65535 by default
---@return string? datagram
---@return string? message
function Datagrams:receive(size) end

--- Waits for datagrams and returns at least one.
---@param max? integer 32 by default, at most 1024
---@return socket.Datagram[]?
---@return string? message
function Datagrams:receivemany(max) end

--- An iterator over datagram, host, port; ends when the socket is closed.
---@return fun(): string?, string?, integer?
function Datagrams:datagrams() end

--- Sends to the peer; on a connected socket only.
---@param datagram string
---@return integer? bytes
---@return string? message
function Datagrams:send(datagram) end

--- Sends many: checks every entry before it sends any.
---@param list (socket.Datagram|string)[] a string only on a connected socket
---@return integer? sent
---@return string? message
---@return integer? handed_over on failure
function Datagrams:sendmany(list) end

---@return integer received bytes
---@return integer sent bytes
---@return number age seconds
function Datagrams:getstats() end

---@param received? integer
---@param sent? integer
---@param age? number seconds
---@return integer ok 1
function Datagrams:setstats(received, sent, age) end

---@class socket.Udp : socket.Datagrams
local Udp = {}

--- As receive, with the sender; on an unconnected socket only.
---@param size? integer
---@return string? datagram
---@return string host or a message
---@return integer? port
function Udp:receivefrom(size) end

--- Sends; on an unconnected socket only.
---@param datagram string
---@param host string
---@param port socket.Port
---@return integer? bytes
---@return string? message
function Udp:sendto(datagram, host, port) end

---@param host string "*": every address
---@param port socket.Port 0: any free one
---@return integer? ok 1
---@return string? message
function Udp:setsockname(host, port) end

--- Names the peer, or none.
---@param host string
---@param port socket.Port
---@return integer? ok 1
---@return string? message
---@overload fun(self, none: "*"): integer?, string?
function Udp:setpeername(host, port) end

---@return string? address
---@return integer|string port or a message
---@return "inet"|"inet6" family
function Udp:getsockname() end

---@return string? address
---@return integer|string port or a message
---@return "inet"|"inet6" family
function Udp:getpeername() end

---@return "inet4"|"inet6"
function Udp:getfamily() end

-- The module --------------------------------------------------------------------------------------

---@class socket
---@field BLOCKSIZE integer bytes a source receives at once
---@field sinkt table<string, function>
---@field sourcet table<string, function>
---@field dns socket.dns
---@field _VERSION string
---@field _DEBUG boolean
---@field _DATAGRAMSIZE integer
---@field _SETSIZE integer
---@field _SOCKETINVALID integer
local socket = {}

---@return socket.TcpAny? master
---@return string? message
function socket.tcp() end

---@return socket.TcpAny? master
---@return string? message
function socket.tcp4() end

---@return socket.TcpAny? master
---@return string? message
function socket.tcp6() end

---@return socket.Udp? udp
---@return string? message
function socket.udp() end

---@return socket.Udp? udp
---@return string? message
function socket.udp4() end

---@return socket.Udp? udp
---@return string? message
function socket.udp6() end

--- Makes a server.
---@param host string a name, an address, "*", or "unix:/path"
---@param port? socket.Port not with a path
---@param backlog? integer 32 by default
---@return socket.TcpServer? server
---@return string? message
function socket.bind(host, port, backlog) end

--- Makes a client. Takes what getsockname and getpeername return, the family or a path.
---@param address string a name, an address, "unix:/path", or "/path"
---@param port? socket.Port not with a path
---@param local_address? string|"inet"|"inet6" the family, if no local port follows
---@param local_port? socket.Port
---@param family? "inet"|"inet6"|"unspec"
---@return socket.TcpClient? client
---@return string? message
---@overload fun(host: string, port: socket.Port, o: socket.ConnectOptions): socket.TcpClient?
---@overload fun(path: string, options?: socket.ConnectOptions): socket.UnixClient?, string?
function socket.connect(address, port, local_address, local_port, family) end

---@param address string
---@param port socket.Port
---@param local_address? string
---@param local_port? socket.Port
---@return socket.TcpClient? client
---@return string? message
function socket.connect4(address, port, local_address, local_port) end

---@param address string
---@param port socket.Port
---@param local_address? string
---@param local_port? socket.Port
---@return socket.TcpClient? client
---@return string? message
function socket.connect6(address, port, local_address, local_port) end

--- Binds and serves: see socket.TcpServer.serve.
---@param host string
---@param port socket.Port
---@param handler fun(conn: socket.TcpClient)
---@param options? socket.BindServeOptions
---@return true?
---@return string? message
---@overload fun(path: string, handler: socket.UnixHandler, options?: socket.BindServeOptions)
function socket.serve(host, port, handler, options) end

--- Copies both ways until both ends have ended.
---@param a socket.Stream
---@param b socket.Stream
---@return integer? from_a bytes
---@return integer|string from_b bytes, or a message
function socket.relay(a, b) end

--- Waits until something can be read or written.
---@generic T
---@param receivers? T[]
---@param senders? T[]
---@param seconds? number
---@return T[] readable each object is a key, too
---@return T[] writable
---@return "timeout"? message
function socket.select(receivers, senders, seconds) end

--- Suspends the calling task.
---@param seconds number
function socket.sleep(seconds) end

---@return number seconds since the epoch
function socket.gettime() end

---@param n integer
---@param ... any
---@return any ... all but the first n of the rest
function socket.skip(n, ...) end

---@generic T
---@param ok T?
---@param ... any
---@return T
---@return any ...
function socket.try(ok, ...) end

---@param finalizer? fun()
---@return fun(...: any): any ...
function socket.newtry(finalizer) end

---@generic F : function
---@param f F
---@return F
function socket.protect(f) end

---@param choices table<string, function>
---@return fun(name?: string, option: any, more: any): any
function socket.choose(choices) end

---@param mode "close-when-done"|"keep-open"
---@param sock socket.Stream
---@return fun(chunk?: string, message?: string): any, string?
---@overload fun(sock: socket.Stream): fun(chunk?: string, message?: string): any, string?
function socket.sink(mode, sock) end

---@param mode "by-length"|"until-closed"
---@param sock socket.Stream
---@param length? integer bytes, of "by-length"
---@return fun(): string?, string?
---@overload fun(sock: socket.Stream): fun(): string?, string?
function socket.source(mode, sock, length) end

---@return integer ok 1
function socket.__unload() end

---@class socket.Resolved
---@field name string
---@field alias string[]
---@field ip string[]

---@class socket.AddressInfo
---@field family "inet"|"inet6"
---@field addr string

---@class socket.dns
local dns = {}

---@param host string
---@return string? address
---@return socket.Resolved|string resolved or a message
function dns.toip(host) end

---@param address string
---@return string? name
---@return socket.Resolved|string resolved or a message
function dns.tohostname(address) end

---@param host string
---@return socket.AddressInfo[]?
---@return string? message
function dns.getaddrinfo(host) end

---@param host? string
---@param service? string
---@return string[]? names
---@return string? service or a message
function dns.getnameinfo(host, service) end

---@return string? name
---@return string? message
function dns.gethostname() end

--- Which resolver connect and all that looks up names ask, in all of this program.
---@param which? "lariat"|"system" default: leave it
---@return "lariat"|"system" before
function dns.use(which) end

socket.dns = dns

return socket
