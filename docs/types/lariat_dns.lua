---@meta lariat.dns
-- SPDX-License-Identifier: MIT
--
-- The module `lariat.dns` for lua-language-server.

---@alias lariat.dns.Type
---| "A" | "AAAA" | "CNAME" | "MX" | "SRV" | "TXT" | "NS" | "PTR" | "SOA" | "CAA" | "HTTPS"

---@class lariat.dns.Options
---@field servers? string|string[] addresses, each maybe with a port: "192.0.2.1:53", "[::1]:53"
---@field timeout? number seconds, for all of it
---@field tcp? boolean ask over TCP only

---@class lariat.dns.Configuration
---@field servers? string|string[]
---@field search? string[] domains
---@field ndots? integer
---@field timeout? number seconds that a server has to answer
---@field attempts? integer
---@field rotate? boolean the servers take turns
---@field tcp? boolean

---@class lariat.dns.Parameter
---@field key string|integer
---@field protocols? string[] of the key "alpn"
---@field port? integer
---@field ipv4? string[]
---@field ipv6? string[]
---@field data? string of any other key

---@class lariat.dns.Record
---@field name string
---@field type lariat.dns.Type
---@field class string
---@field ttl integer seconds it still holds
---@field address? string A, AAAA
---@field target? string CNAME, NS, PTR, SRV, HTTPS
---@field preference? integer MX
---@field exchange? string MX
---@field priority? integer SRV, HTTPS
---@field weight? integer SRV
---@field port? integer SRV
---@field texts? string[] TXT
---@field mname? string SOA
---@field rname? string SOA
---@field serial? integer SOA
---@field refresh? integer SOA
---@field retry? integer SOA
---@field expire? integer SOA
---@field minimum? integer SOA
---@field flags? integer CAA
---@field tag? string CAA
---@field value? string CAA
---@field parameters? lariat.dns.Parameter[] HTTPS

---@class lariat.dns.Records
---@field [integer] lariat.dns.Record
---@field canonical string the name at the end of the aliases

---@class lariat.dns
local dns = {}

---@param name string
---@param type lariat.dns.Type
---@param options? lariat.dns.Options
---@return lariat.dns.Records? records
---@return string? message "timeout", "host not found", "no such record", "malformed name", ...
---@return string? code "NXDOMAIN" or "NODATA" if that is the answer
function dns.resolve(name, type, options) end

--- What the resolver of this program goes by, instead of resolv.conf; nil: that again.
---@param options? lariat.dns.Configuration
function dns.configure(options) end

--- Forgets what name servers have answered.
function dns.flush() end

return dns
