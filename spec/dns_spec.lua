-- SPDX-License-Identifier: MIT
--
-- Names: socket.dns and lookups inside other calls suspend their task and nobody else.

local socket = require "socket"
local task = require "lariat.task"

local dns = socket.dns

describe("socket.dns", function()
  it("finds the addresses of a name", function()
    local ip, resolved = dns.toip "localhost"
    assert.equal("127.0.0.1", ip)
    assert.equal("string", type(resolved.name))
    assert.equal("127.0.0.1", resolved.ip[1])
    assert.is_table(resolved.alias)
  end)

  it("gives numeric addresses back without asking", function()
    assert.equal("192.0.2.7", (dns.toip "192.0.2.7"))
    assert.same({ { family = "inet", addr = "192.0.2.7" } }, dns.getaddrinfo "192.0.2.7")
    assert.same({ { family = "inet6", addr = "2001:db8::1" } }, dns.getaddrinfo "2001:db8::1")
  end)

  it("lists every address of a name with its family", function()
    local found = assert(dns.getaddrinfo "localhost")
    assert.is_true(#found >= 1)
    for _, entry in ipairs(found) do
      assert.equal(entry.addr:find ":" and "inet6" or "inet", entry.family)
    end
  end)

  it("finds the name of an address", function()
    local name, resolved = dns.tohostname "127.0.0.1"
    assert.is_string(name)
    assert.equal(name, resolved.name)
    assert.same({ "127.0.0.1" }, resolved.ip)
  end)

  it("finds names of an address and a service", function()
    local names, service = dns.getnameinfo("127.0.0.1", "80")
    assert.is_table(names)
    assert.is_string(names[1])
    assert.is_string(service)
    assert.has_error(function() dns.getnameinfo() end)
  end)

  it("knows the name of this machine", function()
    assert.is_true(#dns.gethostname() > 0)
  end)

  it("says that a host is not found", function()
    local long = ("x"):rep(300) .. ".invalid"
    for _, name in ipairs { "no-such-host.invalid", long, ("x"):rep(5000) } do
      for _, lookup in ipairs { dns.toip, dns.getaddrinfo } do
        local found, message = lookup(name)
        assert.is_nil(found)
        assert.is_string(message)
      end
    end
    local name, message = dns.tohostname "not an address"
    assert.is_nil(name)
    assert.is_string(message)
  end)

  it("says of what cannot be a name that nobody knows it, as LuaSocket does", function()
    local unknown = { nil, "host or service not provided, or not known" }
    for _, name in ipairs { ("a"):rep(300), ("a."):rep(2000), "\xff\xfe" } do
      assert.same(unknown, { dns.getaddrinfo(name) })
      assert.same(unknown, { socket.connect(name, 1) })
      assert.same(unknown, { socket.bind(name, 0) })
    end
  end)

  it("looks up no name with a zero byte in it", function()
    for _, name in ipairs { "toip", "getaddrinfo", "tohostname", "getnameinfo" } do
      assert.same({ nil, "host contains a zero byte" }, { dns[name] "localhost\0.invalid" })
    end
    assert.same({ nil, "service contains a zero byte" }, { dns.getnameinfo("localhost", "80\0") })
  end)

  it("names a wrong argument", function()
    for _, name in ipairs { "toip", "getaddrinfo", "tohostname" } do
      assert.error_matches(function() dns[name]() end, "bad argument #1 to")
      assert.error_matches(function() dns[name] {} end, "bad argument #1 to")
    end
  end)
end)

describe("a lookup", function()
  it("lets other tasks run meanwhile", function()
    local ticks, over = 0, false
    local ticker = task.spawn(function()
      while not over do ticks = ticks + 1 task.yield() end
    end)
    local before
    for _ = 1, 5 do
      before = ticks
      dns.getaddrinfo "localhost"
      assert.is_true(ticks > before)
    end
    over = true
    ticker:join()
  end)

  it("runs beside many others", function()
    local count = 200 // (tonumber(os.getenv "SCALE") or 1)
    local lookups = {}
    for i = 1, count do lookups[i] = task.spawn(dns.toip, "localhost") end
    for i = 1, count do assert.equal("127.0.0.1", (lookups[i]:join())) end
  end)

  it("in flight is left behind by a cancelled task", function()
    for _, call in ipairs {
      function() return dns.toip "no-such-host.invalid" end,
      function() return dns.getaddrinfo "no-such-host.invalid" end,
      function() return dns.tohostname "192.0.2.1" end,
      function() return socket.connect("no-such-host.invalid", 9) end,
      function() return socket.bind("no-such-host.invalid", 0) end,
      function()
        local udp <close> = socket.udp4()
        return udp:sendto("x", "no-such-host.invalid", 9)
      end,
    } do
      local looking = task.spawn(call)
      local status
      task.spawn(function() -- runs right after it, before the answer can be heard
        status = looking:status()
        looking:cancel()
      end)
      task.yield()
      assert.equal("waiting", status)
      assert.same({ nil, "cancelled" }, { looking:join() })
    end
    assert.equal("127.0.0.1", (dns.toip "localhost"))
  end)

  it("in flight notices that its socket is closed", function()
    local udp = socket.udp4()
    local tcp = socket.tcp()
    local sending = task.spawn(function() return udp:sendto("x", "localhost", 9) end)
    local connecting = task.spawn(function() return tcp:connect("localhost", 9) end)
    local binding = task.spawn(function()
      local s = socket.tcp()
      task.spawn(function() s:close() end)
      return s:bind("localhost", 0)
    end)
    local closing = task.spawn(function()
      udp:close()
      tcp:close()
    end)
    closing:join()
    assert.same({ nil, "closed" }, { sending:join() })
    assert.same({ nil, "closed" }, { connecting:join() })
    assert.same({ nil, "closed" }, { binding:join() })
  end)

  it("works inside a coroutine of the script's own", function()
    local wrapped = coroutine.wrap(function()
      coroutine.yield((dns.toip "localhost"))
      coroutine.yield((dns.toip "192.0.2.1"))
    end)
    assert.equal("127.0.0.1", wrapped())
    assert.equal("192.0.2.1", wrapped())
  end)
end)
