-- SPDX-License-Identifier: MIT
--
-- Where names are looked up: at once, if the hosts file has them; on a thread, if one can be had.
-- The hosts file, nsswitch.conf and the name server are a test's own, in namespaces of its own.

local lariat = require "lariat"
local run = require "spec.support.program"

local LARIAT = run.path

-- No thread's stack finds room: libuv gives it as much as the main one may have.
local NO_THREAD = "ulimit -s 100000000000"

local function output(command)
  command.stderr = "stdout"
  local child <close> = assert(lariat.run(command))
  local text = child.stdout:receive "*a" or ""
  child:wait()
  return text
end

local function limited(limit, script)
  return output { "sh", "-c", limit .. [[ && exec "$0" -e "$1"]], LARIAT, script }
end

-- Runs a command behind files of its own under /etc, without a network but the loopback.
local function with_files(files, command)
  local script, kept = { "ip link set lo up" }, {}
  for path, content in pairs(files) do
    kept[#kept + 1] = run.file(content)
    script[#script + 1] = ("mount --bind %s %s"):format(kept[#kept].path, path)
  end
  script[#script + 1] = 'exec "$@"'
  local text = output { "unshare", "--user", "--map-root-user", "--mount", "--net", "sh", "-c",
    table.concat(script, " && "), "sh", table.unpack(command) }
  for _, file in ipairs(kept) do getmetatable(file).__close() end
  for _, refusal in ipairs { "unshare:", "mount:", "ip:", "sh: 1: ip:", "RTNETLINK" } do
    if text:find(refusal, 1, true) == 1 then pending "no namespaces here" end
  end
  return text
end

local HOSTS = [[
# 10.9.9.9 comment.test
127.0.0.1	localhost
   10.1.2.3   Mixed.test  alias-one.test ALIAS2.test # other.test
10.1.2.4 mixed.test
fd00::7 mixed.test six.test
10.8.8.8 twice.test
10.8.8.8 again.test
fe80::5%lo scoped.test
127.1 short.test
::1 loop.test
]]

describe("a name in the hosts file", function()
  local ASK = [[
    local dns = require "socket".dns
    for name in ("localhost LOCALHOST mixed.test MIXED.TEST alias-one.test alias2.test six.test " ..
      "twice.test again.test loop.test"):gmatch "%S+" do
      for _, entry in ipairs(assert(dns.getaddrinfo(name))) do
        print(name, entry.family, entry.addr)
      end
    end
    for name in ("localhost mixed.test alias2.test again.test"):gmatch "%S+" do
      local address, resolved = dns.toip(name)
      print(name, address, resolved.name)
    end
    for address in ("127.0.0.1 10.1.2.3 10.1.2.4 10.8.8.8"):gmatch "%S+" do
      print(address, (dns.tohostname(address)))
    end
    for address in ("127.0.0.1 10.1.2.3 fd00::7 ::1"):gmatch "%S+" do
      print(address, table.concat((dns.getnameinfo(address)), " "))
    end
  ]]

  it("has the answers that LuaSocket gives, and takes no thread", function()
    local command = ([[lua5.4 -e "$1"; echo --; %s; exec "$0" -e "$1"]]):format(NO_THREAD)
    local files = { ["/etc/hosts"] = HOSTS, ["/etc/nsswitch.conf"] = "hosts: files dns\n" }
    local text = with_files(files, { "sh", "-c", command, LARIAT, ASK })
    local expected, got = text:match "^(.*)%-%-\n(.*)$"
    assert.matches("mixed.test\tinet6\tfd00::7\n", expected, 1, true)
    assert.equal(expected, got)
  end)

  it("is asked of others first where nsswitch.conf says so", function()
    local there, elsewhere = "127.0.0.1\n", "no thread"
    for line, expected in pairs {
      ["hosts: files dns"] = there,
      ["hosts:\tfiles [NOTFOUND=return] dns # as it should be"] = there,
      ["hosts:files[UNAVAIL=continue] dns"] = there,
      ["hosts: dns files"] = elsewhere,
      ["hosts: filesystem files"] = elsewhere,
      ["hosts: files [SUCCESS=continue] dns"] = elsewhere,
      ["hosts: files [!NOTFOUND=continue] dns"] = elsewhere,
      ["hosts: files dns\nhosts: dns"] = elsewhere,
      ["# hosts: files"] = elsewhere,
    } do
      local text = with_files({ ["/etc/hosts"] = HOSTS, ["/etc/nsswitch.conf"] = line .. "\n" },
        { "sh", "-c", NO_THREAD .. [[; exec "$0" -e "$1"]], LARIAT, [[
          local address, why = require "socket".dns.toip "localhost"
          print(address or why:sub(1, 9))
        ]] })
      assert.equal(expected:gsub("\n", ""), (text:gsub("\n", "")), line)
    end
  end)

  it("is not what a comment, a malformed line or the other family says", function()
    local text = with_files({ ["/etc/hosts"] = HOSTS, ["/etc/nsswitch.conf"] = "hosts: files\n" },
      { "sh", "-c", NO_THREAD .. [[; exec "$0" -e "$1"]], LARIAT, [[
        local dns = require "socket".dns
        for name in ("comment.test other.test scoped.test short.test localhost. test")
          :gmatch "%S+" do
          print(name, (dns.getaddrinfo(name)))
        end
        print("six.test", (dns.toip "six.test"))
      ]] })
    assert.equal("comment.test nil other.test nil scoped.test nil short.test nil localhost. nil " ..
      "test nil six.test nil ", (text:gsub("%s", " ")))
  end)

  it("is found once the file has it, while the program runs", function()
    local hosts <close> = run.file "127.0.0.1 localhost\n"
    local script = ([[
      local dns = require "socket".dns
      local function write(text)
        local file <close> = assert(io.open(%q, "w"))
        file:write(text)
      end
      print((dns.toip "new.test"))
      write "10.0.0.1 new.test\n"
      print((dns.toip "new.test"))
      write "10.0.0.2 new.test\n"
      print((dns.toip "new.test"))
      write(("10.0.0.2 other.test\n"):rep(5000) .. "10.0.0.3 new.test\n")
      print(dns.toip "new.test")
    ]]):format(hosts.path)
    local command = ([[mount --bind %s /etc/hosts; %s; exec "$0" -e "$1"]])
      :format(hosts.path, NO_THREAD)
    local text = with_files({ ["/etc/nsswitch.conf"] = "hosts: files\n" },
      { "sh", "-c", command, LARIAT, script })
    assert.matches("^nil\n10.0.0.1\n10.0.0.2\nnil\tno thread ", text)
  end)
end)

describe("a lookup for which no thread can be started", function()
  it("fails with a message, and later ones work again", function()
    local text = limited(NO_THREAD, [[
      local socket = require "socket"
      local message = "^no thread for a name lookup can be started: a limit on processes or memory"
      for _ = 1, 2 do
        for _, lookup in ipairs { socket.dns.toip, socket.dns.getaddrinfo, socket.dns.tohostname,
          function(name) return socket.connect(name, 9) end,
          function(name) return socket.bind(name, 0) end,
          function(name) return socket.udp4():sendto("x", name, 9) end } do
          local found, why = lookup "no-such-host.invalid"
          assert(found == nil and why:find(message), why)
        end
      end
      print((socket.dns.toip "192.0.2.9"))
      print(socket.dns.getaddrinfo "2001:db8::1"[1].addr)
    ]])
    assert.equal("192.0.2.9\n2001:db8::1\n", text)
  end)

  it("does its work with the few that can", function()
    if os.getenv "ASAN_OPTIONS" then return end -- the sanitizer itself needs more than the limit
    for _, limit in ipairs { "ulimit -v 200000", "ulimit -v 60000",
      "ulimit -s 100000; ulimit -v 900000", "ulimit -s 100000; ulimit -v 200000" } do
      local text = limited(limit, [[
        local socket = require "socket"
        local task = require "lariat.task"
        local lookups = {}
        for i = 1, 4 do
          lookups[i] = task.spawn(socket.dns.getaddrinfo, "no-such-host" .. i .. ".invalid")
        end
        for i = 1, 4 do
          local found, why = lookups[i]:join()
          assert(found == nil and not why:find "thread", why)
        end
        print(#("x"):rep(10 << 20)) -- the threads have left some memory
      ]])
      assert.equal((10 << 20) .. "\n", text)
    end
  end)

  it("says so where the number of processes is limited", function()
    local text = output { "setpriv", "--reuid=65534", "--clear-groups", "bash", "-c",
      [[ulimit -u 1 && exec "$0" -e "$1"]], LARIAT, [[
        print(require "socket".dns.toip "no-such-host.invalid")
      ]] }
    if text:find "^setpriv:" then pending "no other user here" end
    assert.matches("^nil\tno thread for a name lookup can be started", text)
  end)
end)

describe("a lookup that nobody waits for any more", function()
  local NAME_SERVER = [[
    local socket = require "socket"
    local task = require "lariat.task"
    local dns = socket.dns
    local server = socket.udp4()
    assert(server:setsockname("127.0.0.1", 53))

    -- The next name that is asked for, and a function that says it is 10.0.0.1.
    local function next_question()
      local query, host, port = server:receivefrom()
      local labels, at, label = {}, 13, nil
      while query:byte(at) > 0 do
        label, at = string.unpack("s1", query, at)
        labels[#labels + 1] = label
      end
      local name = table.concat(labels, ".")
      return name, function()
        server:sendto(query:sub(1, 2) .. "\x81\x80\0\1\0\1\0\0\0\0" .. query:sub(13, at + 4) ..
          "\xc0\x0c\0\1\0\1\0\0\0\0\0\4\10\0\0\1", host, port)
      end
    end
  ]]

  local function with_name_server(script)
    return with_files({ ["/etc/hosts"] = HOSTS, ["/etc/nsswitch.conf"] = "hosts: files dns\n",
      ["/etc/resolv.conf"] = "nameserver 127.0.0.1\n" },
      { "env", "UV_THREADPOOL_SIZE=1", LARIAT, "-e", NAME_SERVER .. script })
  end

  it("is not begun", function()
    assert.equal("first.test\nlast.test\n10.0.0.1\t10.0.0.1\n", with_name_server [[
      local first = task.spawn(dns.toip, "first.test")
      local name, answer_first = next_question() -- which now has the only thread
      print(name)
      local dropped = {}
      for i = 1, 100 do dropped[i] = task.spawn(dns.toip, "dropped" .. i .. ".test") end
      task.yield()
      for i = 1, 100 do
        dropped[i]:cancel()
        dropped[i]:join()
      end
      local last = task.spawn(dns.toip, "last.test")
      answer_first()
      local answer
      name, answer = next_question()
      print(name)
      answer()
      print((first:join()), (last:join()))
    ]])
  end)

  it("delays no name that the hosts file has", function()
    assert.equal("127.0.0.1\t127.0.0.1\tlocalhost\n10.0.0.1\n", with_name_server [[
      local first = task.spawn(dns.toip, "first.test")
      local _, answer = next_question()
      local _, port = assert(socket.bind("*", 0)):getsockname()
      local client = socket.connect("localhost", port)
      print((dns.toip "localhost"), (client:getpeername()), (dns.tohostname "127.0.0.1"))
      answer()
      print((first:join()))
    ]])
  end)
end)
