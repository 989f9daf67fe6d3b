-- SPDX-License-Identifier: MIT
--
-- Where lariat differs from LuaSocket on purpose: each reason, and the probes that show it. A probe
-- that differs and is not listed fails the spec, and so does a listed one that no longer differs.

return {
  {
    reason = 'A closed object stays closed, says "closed", and is not bound or connected again.',
    probes = {
      ["classes/closed tcp{master}"] = { 2, 3, 4, 5, 6, 7, 9, 10, 14 },
      ["classes/closed udp{unconnected}"] = { 2, 3, 4, 5, 8, 9, 11, 12, 13 },
      ["classes/closed udp{connected}"] = { 2, 3, 6, 8 },
      ["classes/closed unixdgram{unconnected}"] = { 2, 3, 4 },
      ["tcp_life/undecided family"] = { 6 },
      ["udp/undecided family"] = { 6, 7 },
    },
  },
  {
    reason = "Closing a socket that still holds received bytes drops them.",
    probes = {
      ["tcp_life/close with bytes in the buffer"] = { 5, 6, 7 },
    },
  },
  {
    reason = "A method that all kinds of sockets have, taken from one kind, works on the others.",
    probes = {
      ["classes/methods given something else"] = { 10, 12, 18 },
    },
  },
  {
    reason = "A port is an integer from 0 to 65535; anything else is refused by name.",
    probes = {
      ["tcp_life/bind"] = { 2, 7, 8, 10 },
      ["options/reuseport lets two listen"] = { 5 },
      ["udp/sendto arguments"] = { 11, 12, 13 },
    },
  },
  {
    reason = "An option set before there is a descriptor is remembered for it.",
    probes = {
      ["options/with no descriptor"] = { 1, 3, 5, 7 },
    },
  },
  {
    reason = 'connect on a connected socket says "already connected"; a refused one may try again.',
    probes = {
      ["tcp_life/from master to client"] = { 3 },
      ["tcp_life/connect refused"] = { 8 },
      ["tcp_life/connect again after a refusal"] = { 2 },
    },
  },
  {
    reason = "An error of sending is told by the first send after the collected output has left.",
    sometimes = true, -- as the flush comes before or after
    probes = {
      ["send/to a peer that closed"] = { 3 },
      ["send/to a peer that closed, with an index"] = { 3, 4, 5 },
      ["send/to a peer that stopped receiving"] = { 3 },
      ["send/statistics after an error"] = { 3, 4 },
      ["udp/refused by the kernel again and again"] = { 1 },
      ["unix_sockets/stream to a peer that closed"] = { 2, 3 },
    },
  },
  {
    reason = "An unknown option's name that is nearly one there is names that one.",
    probes = {
      ["options/names"] = { 7, 8, 11, 12, 13, 14 },
    },
  },
  {
    reason = "An option's value is checked: a number option without a number raises.",
    probes = {
      ["options/tcp tcp-keepidle"] = { 8, 9 },
      ["options/tcp tcp-keepcnt"] = { 8 },
      ["options/tcp tcp-keepintvl"] = { 7 },
      ["options/tcp tcp-defer-accept"] = { 1, 4 },
      ["options/tcp tcp-fastopen"] = { 1, 4 },
      ["options/tcp tcp-fastopen-connect"] = { 1, 2, 3, 4 },
      ["options/tcp recv-buffer-size"] = { 4 },
      ["options/tcp send-buffer-size"] = { 4 },
      ["options/tcp ipv6-v6only"] = { 1 },
      ["options/tcp bindtodevice"] = { 1, 2, 3, 4, 5 },
      ["options/udp ip-multicast-ttl"] = { 1, 8 },
      ["options/udp recv-buffer-size"] = { 3 },
      ["options/udp send-buffer-size"] = { 3 },
      ["options/udp6 ipv6-unicast-hops"] = { 12, 13 },
      ["options/udp6 ipv6-multicast-hops"] = { 1, 6, 7 },
      ["options/udp6 ip-multicast-ttl"] = { 1, 3 },
      ["options/ipv6 tcp"] = { 1, 3 },
      ["options/hops for one are hops for all"] = { 2, 4 },
      ["options/names"] = { 15, 16, 25, 26 },
    },
  },
  {
    reason = "sendto looks names up, without blocking anybody.",
    probes = {
      ["udp/sendto arguments"] = { 9, 10, 15 },
    },
  },
  {
    reason = "A unix socket whose bind or connect failed stays open.",
    probes = {
      ["unix_sockets/stream bind"] = { 4, 5 },
      ["unix_sockets/stream connect"] = { 3 },
      ["unix_sockets/datagram errors"] = { 13, 17, 18 },
    },
  },
  {
    reason = "select lists sockets in the order they were given.",
    probes = {
      ["readiness/writable"] = { 6 },
    },
  },
  {
    reason = "connect tries addresses of the family it is given, and no others.",
    probes = {
      ["helpers/connect with a family"] = { 10, 11, 12, 13 },
    },
  },
  {
    reason = "connect takes a table of options in place of a local address.",
    probes = {
      ["helpers/connect from a local address"] = { 22 },
    },
  },
  {
    reason = "newtry refuses a finalizer that is no function; LuaSocket fails when it calls it.",
    probes = {
      ["exceptions/newtry finalizers"] = { 5, 6 },
    },
  },
  {
    reason = "An error about bind's backlog, or a list of select, names the script's own argument.",
    probes = {
      ["helpers/bind failures"] = { 6 },
      ["readiness/entries that are no sockets"] = { 1, 3, 4 },
    },
  },
}
