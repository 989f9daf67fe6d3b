-- SPDX-License-Identifier: MIT
--
-- The examples in the documents run as they stand and print what the comments behind them say, and
-- README.md names what is there.

local files = require "spec.support.files"
local peers = require "spec.support.peers"
local socket = require "socket"
local task = require "lariat.task"
local test = require "lariat.test"

local read, exists = files.read, files.exists

local reference, readme = read "docs/reference.md", read "README.md"

-- Blocks that begin with ```lua, and whether they are marked as ones to be run: ```lua run.
local function blocks(text)
  local list = {}
  for info, body in ("\n" .. text):gmatch "\n```lua([^\n]*)\n(.-)\n```" do
    list[#list + 1] = { body = body, run = info == " run" }
  end
  return list
end

-- What `body` prints, and what the comments behind "-->" say it prints.
local function output_of(body)
  local printed, expected = {}, {}
  local env = setmetatable({}, { __index = _G })
  function env.print(...)
    local words = table.pack(...)
    for i = 1, words.n do words[i] = tostring(words[i]) end
    printed[#printed + 1] = table.concat(words, "\t")
  end
  for line in body:gmatch "[^\n]+" do
    expected[#expected + 1] = line:match "%-%-> ?(.*)$"
  end
  assert(load(body, "=example", "t", env))()
  return printed, expected
end

local DOCUMENTS = {
  ["README.md"] = readme,
  ["docs/reference.md"] = reference,
  ["docs/tasks.md"] = read "docs/tasks.md",
  ["docs/luasocket.md"] = read "docs/luasocket.md",
  ["docs/simulation.md"] = read "docs/simulation.md",
  ["docs/wire.md"] = read "docs/wire.md",
}

for path, text in pairs(DOCUMENTS) do
  describe(path, function()
    for i, block in ipairs(blocks(text)) do
      it("has a Lua example " .. i .. (block.run and " that prints what it says" or ""), function()
        assert(load(block.body, "=example " .. i))
        if not block.run then return end
        local printed, expected = output_of(block.body)
        assert.same(expected, printed)
      end)
    end
  end)
end

describe("README.md", function()
  it("names files that exist", function()
    for _, text in ipairs { readme, (reference:gsub("%]%(([^#h])", "](docs/%1")) } do
      for path in text:gmatch "%]%(([^)#]+)" do
        local remote = path:find "^https?://"
        assert(remote or exists(path), "no such file: " .. path)
      end
    end
  end)

  it("names every example", function()
    for path in io.popen "ls examples/*.lua":lines() do
      assert(readme:find(path, 1, true), "not in README.md: " .. path)
    end
  end)

  -- Both run as they stand, except that they meet on a free port.
  it("has an echo server that answers its client", function()
    local server, client = blocks(readme)[1].body, blocks(readme)[2].body
    local listening
    local stand_in = setmetatable({
      bind = function()
        listening = assert(socket.bind("127.0.0.1", 0))
        return listening
      end,
      connect = function()
        local _, port = listening:getsockname()
        return socket.connect("127.0.0.1", port)
      end,
    }, { __index = socket })
    local printed = {}
    local env = setmetatable({
      require = function(name) return name == "socket" and stand_in or require(name) end,
      print = function(...) printed[#printed + 1] = table.pack(...) end,
    }, { __index = _G })
    local serving <close> = task.spawn(assert(load(server, "=server", "t", env)))
    while not listening do task.yield() end
    assert(load(client, "=client", "t", env))()
    assert.same({ { "hello", n = 1 } }, printed)
    listening:close()
    serving:join()
  end)
end)

describe("README.md's example of TLS", function()
  local ssl = require "ssl"

  -- It runs as it stands, but with a port and a certificate of its own.
  it("says hello to a server", function()
    local dir <close> = peers.directory()
    local key, certificate = peers.certificate(dir)
    local server = test.serve(function(conn)
      local tls <close> = assert(ssl.wrap(conn, {
        mode = "server", protocol = "any", key = key, certificate = certificate,
      }))
      assert(tls:dohandshake())
      tls:send(assert(tls:receive()) .. "\n")
    end)
    local stand_ins = {
      socket = { connect = function() return socket.connect(server.host, server.port) end },
      ssl = { wrap = function(conn, params)
        params.cafile = certificate
        return ssl.wrap(conn, params)
      end },
    }
    local printed = {}
    local env = setmetatable({
      require = function(name) return assert(stand_ins[name]) end,
      print = function(text) printed[#printed + 1] = text end,
    }, { __index = _G })
    for _, block in ipairs(blocks(readme)) do
      if block.body:find("ssl.wrap", 1, true) then assert(load(block.body, "=tls", "t", env))() end
    end
    assert.same({ "hello" }, printed)
  end)
end)
