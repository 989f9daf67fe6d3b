-- SPDX-License-Identifier: MIT
--
-- LuaSocket's own socket.ftp, as Debian ships it, against pyftpdlib and against servers that
-- misbehave.

local ftp = require "socket.ftp"
local ltn12 = require "ltn12"
local net = require "spec.support.net"
local peers = require "spec.support.peers"

describe("socket.ftp against pyftpdlib", function()
  local dir, server, root

  setup(function()
    dir = peers.directory()
    local port = peers.free_port()
    server = peers.start({ "/usr/bin/python3", "-m", "pyftpdlib", "-i", "127.0.0.1", "-p", port,
      "-d", dir.path, "-w", "-u", "user", "-P", "secret" }, port)
    root = ("ftp://user:secret@127.0.0.1:%d/"):format(port)
  end)

  teardown(function()
    server:close()
    dir:close()
  end)

  it("gets a file", function()
    dir:write("hello.txt", "hello, world\n")
    assert.equal("hello, world\n", ftp.get(root .. "hello.txt;type=i"))
  end)

  it("puts a file and gets it back, with the name it was given", function()
    local data = ("0123456789abcdef\0\r\n"):rep(1 << 15)
    assert.equal(#data, ftp.put(root .. "put%20here.bin;type=i", data))
    assert.is_true(dir:read "put here.bin" == data)
    assert.is_true(ftp.get(root .. "put%20here.bin;type=i") == data)
  end)

  it("lists a directory into a sink", function()
    peers.run("mkdir", dir.path .. "/sub")
    dir:write("sub/a", "")
    dir:write("sub/b", "")
    local lines = {}
    assert.equal(1, ftp.get { host = "127.0.0.1", port = server.port, user = "user",
      password = "secret", command = "nlst", argument = "sub", sink = ltn12.sink.table(lines) })
    local names = {}
    for name in table.concat(lines):gmatch "[^\r\n]+" do names[#names + 1] = name end
    table.sort(names)
    assert.same({ "a", "b" }, names)
  end)

  it("runs any command", function()
    local code = ftp.command { host = "127.0.0.1", port = server.port, user = "user",
      password = "secret", command = "mkd", argument = "made", check = { 257 } }
    assert.equal(1, code)
    assert.equal("made\n", peers.run("ls", "-d", "--", dir.path .. "/made"):match "[^/]*$")
  end)

  it("says what the server says of a file that is not there", function()
    assert.matches("^550 ", (select(2, ftp.get(root .. "none.txt;type=i"))))
  end)

  it("transfers ten files at once while a ticker beats", function()
    local ticker <close> = peers.ticker()
    local crowd = peers.crowd(10, ticker)
    local port, closer <close> = peers.held(server.port, crowd)
    assert.is_table(closer)
    local results = peers.together(10, function(i)
      local own = ("ftp://user:secret@127.0.0.1:%d/own%d;type=i"):format(port, i)
      assert(ftp.put(own, ("x"):rep(100000) .. i))
      return ftp.get(own)
    end)
    assert.equal(10, crowd.most)
    for i = 1, 10 do assert.is_true(results[i] == ("x"):rep(100000) .. i) end
  end)

  it("closes a transfer whose sink fails", function()
    dir:write("big.bin", ("x"):rep(1 << 20))
    local ok, message = ftp.get { host = "127.0.0.1", port = server.port, user = "user",
      password = "secret", path = "big.bin", type = "i",
      sink = function(chunk) if chunk then return nil, "sink is full" end return 1 end }
    assert.same({ nil, "sink is full" }, { ok, message })
  end)
end)

describe("socket.ftp against a server that", function()
  local function get_from(handler, seconds)
    local port, closer <close> = net.server(handler)
    assert.is_table(closer)
    local before = ftp.TIMEOUT
    ftp.TIMEOUT = seconds or before
    local ok, message = ftp.get(("ftp://127.0.0.1:%d/file"):format(port))
    ftp.TIMEOUT = before
    return ok, message
  end

  it("is not there: says connection refused", function()
    assert.same({ nil, "connection refused" },
      { ftp.get(("ftp://127.0.0.1:%d/file"):format(peers.free_port())) })
  end)

  it("never greets: times out, and nobody else waits", function()
    local ticker <close> = peers.ticker()
    assert.same({ nil, "timeout" }, { get_from(function(conn) conn:receive "a" end, 0.05) })
    assert.is_true(ticker.beats > 0)
  end)

  it("greets with garbage: says so", function()
    assert.same({ nil, "invalid server reply" },
      { get_from(function(conn) conn:send "garbage\r\n" end) })
  end)

  it("closes in the middle of a greeting: says closed", function()
    assert.same({ nil, "closed" }, { get_from(function(conn) conn:send "220-wel" end) })
  end)

  it("stops in the middle of the dialogue: times out", function()
    assert.same({ nil, "timeout" }, { get_from(function(conn)
      conn:send "220 hello\r\n"
      for line in conn:lines() do
        if line:upper():find "^EPSV" then break end
        conn:send "200 fine\r\n"
      end
      conn:receive "a"
    end, 0.05) })
  end)
end)
