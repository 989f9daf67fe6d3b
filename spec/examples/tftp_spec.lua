-- SPDX-License-Identifier: MIT

local example = require "spec.support.example"
local sim = require "lariat.sim"
local socket = require "socket"
local tftp = require "examples.wire.tftp"

local LOOPBACK = "127.0.0.1"

describe("the TFTP server", function()
  local root, remove, server
  local big = ("0123456789abcdef"):rep(6400) -- a multiple of the size of a block

  setup(function()
    root, remove = example.directory()
    example.write(root .. "/big", big)
    example.write(root .. "/empty", "")
    example.write(root .. "/odd", ("x"):rep(1025))
  end)
  teardown(function() remove.remove() end)
  before_each(function() server = example.start("tftp_server", "--write", root, LOOPBACK, 0) end)
  after_each(function() server:stop() end)

  local function curl(path, ...)
    return example.peer {
      "curl", "-s", "-m", 20, ("tftp://%s:%d%s"):format(LOOPBACK, server.port, path), ...,
    }
  end

  it("sends files to curl, in blocks of any size", function()
    assert.equal(big, (curl "/big"))
    assert.equal(big, (curl("/big", "--tftp-blksize", 1400)))
    assert.equal(big, (curl("/big", "--tftp-no-options")))
    assert.equal("", (curl "/empty"))
    assert.equal(1025, #curl "/odd")
  end)

  it("takes files from curl, but none that is there", function()
    for i, options in ipairs { {}, { "--tftp-no-options" }, { "--tftp-blksize", "1024" } } do
      local name = "/new" .. i
      assert.equal(0, select(3, curl(name, "-T", root .. "/big", table.unpack(options))))
      assert.equal(big, example.read(root .. name))
    end
    local _, _, status = curl("/big", "-T", root .. "/odd")
    assert.equal(73, status) -- the file exists
    assert.equal(big, example.read(root .. "/big"))
  end)

  it("says what cannot be had", function()
    assert.equal(68, select(3, curl "/nowhere")) -- not found
    assert.equal(69, select(3, curl("/../etc/passwd", "--path-as-is"))) -- not allowed
    assert.equal(69, select(3, curl("/sub/..", "--path-as-is")))
    assert.equal(68, select(3, curl("/nowhere/new", "--path-as-is")))
    local reading <close> = example.start("tftp_server", root, LOOPBACK, 0)
    local _, _, status = example.peer { "curl", "-s", "-m", 20, "-T", root .. "/odd",
      ("tftp://%s:%d/unwanted"):format(LOOPBACK, reading.port) }
    assert.equal(69, status)
  end)

  it("is not confused by repetitions, old acknowledgements and strangers", function()
    local udp <close> = socket.udp()
    udp:setsockname(LOOPBACK, 0)
    local request = { type = "RRQ", file = "odd", mode = "octet", options = {} }
    tftp:write(udp, request, LOOPBACK, server.port)
    local first, host, port = tftp:read(udp)
    assert.same({ "DATA", 1, 512 }, { first.type, first.block, #first.data })
    local stranger <close> = socket.udp()
    stranger:sendto("\0\4\0\1", host, port)
    tftp:write(udp, { type = "ACK", block = 7 }, host, port)
    udp:sendto("garbage", host, port)
    for block = 2, 3 do
      for _ = 1, 3 do tftp:write(udp, { type = "ACK", block = block - 1 }, host, port) end
      local next_block = tftp:read(udp)
      assert.same({ "DATA", block }, { next_block.type, next_block.block })
      assert.equal(block == 3 and 1 or 512, #next_block.data)
    end
    tftp:write(udp, { type = "ACK", block = 3 }, host, port)
    request.mode = "netascii"
    tftp:write(udp, request, LOOPBACK, server.port)
    local refusal = tftp:read(udp)
    assert.same({ "ERROR", 4 }, { refusal.type, refusal.code })
  end)
end)

-- One attempt of a client to fetch a file: its text, or nil if the server has fallen silent.
local function fetch(file)
  local udp <close> = socket.udp()
  udp:settimeout(3)
  local text, block, silent, host, port = "", 0, 0, "server", 69
  local message = { type = "RRQ", file = file, mode = "octet", options = {} }
  while silent < 8 do
    tftp:write(udp, message, host, port)
    local got, from, from_port = tftp:read(udp)
    silent = got and 0 or silent + 1
    if got and got.type == "DATA" and got.block == block + 1 then
      text, block, host, port = text .. got.data, got.block, from, from_port
      message = { type = "ACK", block = block }
      if #got.data < 512 then return text end
    end
  end
end

sim.it("the TFTP server gets a file through a bad network", { seeds = 20, echo = false },
  function(net)
    net:host("server", "examples/tftp_server.lua", "examples/wire", "*", 69)
    net:client("client", function()
      local text
      repeat text = fetch "mqtt.lua" until text
      assert.equal(example.read "examples/wire/mqtt.lua", text)
    end)
  end)

it("the TFTP server refuses bad arguments", function()
  assert.is_true(example.refuses("tftp_server", ".", LOOPBACK, "tftp"))
  assert.is_true(example.refuses("tftp_server", "/nowhere"))
end)
