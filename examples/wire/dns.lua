-- SPDX-License-Identifier: MIT
--
-- DNS, declared: lua/lariat/internal/dns/message.lua, on which the resolver, lariat.dns, is built.
-- Try: lariat --wire examples/wire/dns.lua dns --describe

return require "lariat.internal.dns.message"
