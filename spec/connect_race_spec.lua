-- SPDX-License-Identifier: MIT
--
-- Connecting to a name with several addresses: the first to answer is taken.

local lariat = require "lariat"

local LARIAT = os.getenv "LARIAT" or "./lariat"

-- A child sees an /etc/hosts of ours, in a mount namespace of its own.
describe("connecting to a name with several addresses", function()
  local hosts

  setup(function()
    hosts = os.tmpname()
    local file <close> = assert(io.open(hosts, "w"))
    file:write "::1 both.test\n127.0.0.1 both.test\n"
    file:write "127.0.0.1 two.test\n127.0.0.2 two.test\n"
  end)

  teardown(function() os.remove(hosts) end)

  local prelude = [[
    local socket, task = require "socket", require "lariat.task"
    local function listen(host, backlog)
      local server = host:find ":" and socket.tcp6() or socket.tcp4()
      assert(server:bind(host, _G.port or 0))
      assert(server:listen(backlog or 8))
      _G.port = select(2, server:getsockname())
      return server
    end
    local function fill(host)
      local server, queue = listen(host, 0), {}
      repeat
        local client = socket.tcp()
        queue[#queue + 1] = client
        client:settimeout(0)
        client:connect(host, port)
      until #select(2, socket.select(nil, { client }, 0.02)) == 0
      return server, queue
    end
  ]]

  local function run(script)
    local child <close> = assert(lariat.run { "unshare", "--user", "--map-root-user", "--mount",
      "sh", "-c", [[mount --bind "$0" /etc/hosts && exec "$@"]], hosts,
      LARIAT, "-e", prelude .. script, stderr = "stdout" })
    local output = child.stdout:receive "*a"
    child:wait()
    if output:find "^unshare:" or output:find "^mount:" then
      pending "no mount namespaces here"
    end
    return output
  end

  it("uses the IPv4 address when only that one listens", function()
    local output = run [[
      local server = listen "127.0.0.1"
      local client = assert(socket.connect("both.test", port))
      print(client:getpeername() == "127.0.0.1", server:accept() ~= nil)
    ]]
    assert.equal("true\ttrue\n", output)
  end)

  it("uses the IPv6 address when only that one listens", function()
    local output = run [[
      local server = listen "::1"
      local client = assert(socket.connect("both.test", port))
      print(client:getpeername() == "::1", server:accept() ~= nil, client:getfamily())
    ]]
    assert.equal("true\ttrue\tinet6\n", output)
  end)

  it("says refused when nobody listens", function()
    local output = run [[
      listen "127.0.0.1":close()
      print(socket.connect("both.test", port))
    ]]
    assert.equal("nil\tconnection refused\n", output)
  end)

  it("does not wait for one that does not answer", function()
    local output = run [[
      local busy, queue = fill "127.0.0.1"
      local server = listen "127.0.0.2"
      local client = assert(socket.connect("two.test", port))
      print((client:getpeername()), #queue > 0, busy.class)
    ]]
    assert.equal("127.0.0.2\ttrue\ttcp{server}\n", output)
  end)

  it("gives every address tried the options set before", function()
    local output = run [[
      local server = listen "127.0.0.1"
      local client = socket.tcp()
      client:setoption("keepalive", true)
      client:setoption("tcp-nodelay", false)
      assert(client:connect("both.test", port))
      print(client:getoption "keepalive", client:getoption "tcp-nodelay", server.class)
    ]]
    assert.equal("true\tfalse\ttcp{server}\n", output)
  end)

  it("times out, closes and cancels as with one address", function()
    local output = run [[
      local one, two = fill "127.0.0.1", fill "127.0.0.2"
      local client = socket.tcp()
      client:settimeout(0.02)
      print(client:connect("two.test", port))
      client = socket.tcp()
      local connecting = task.spawn(client.connect, client, "two.test", port)
      task.sleep(0.3) -- the second address is being tried, too
      client:close()
      print(connecting:join(5))
      client = socket.tcp()
      connecting = task.spawn(client.connect, client, "two.test", port)
      task.sleep(0.3)
      connecting:cancel()
      print(connecting:join(5))
      print(one.class, two.class)
    ]]
    assert.equal("nil\ttimeout\nnil\tclosed\nnil\tcancelled\ntcp{server}\ttcp{server}\n", output)
  end)
end)
