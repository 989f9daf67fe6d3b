-- SPDX-License-Identifier: MIT
--
-- Where lariat differs from LuaSocket on purpose: each reason, and the probes that show it. A probe
-- that differs and is not listed fails the spec, and so does a listed one that no longer differs.

return {
