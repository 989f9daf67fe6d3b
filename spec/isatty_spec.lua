-- SPDX-License-Identifier: MIT
--
-- lariat.isatty: is a descriptor, a stream or a file a terminal?

local lariat = require "lariat"
local misuse = require "spec.support.misuse"
local program = require "spec.support.program"
local sim = require "lariat.sim"
local socket = require "socket"
local test = require "lariat.test"

local ASK = [[
local lariat = require "lariat"
local answers = {}
for _, name in ipairs { "stdin", "stdout", "stderr" } do
  for _, x in ipairs { #answers // 3, io[name], lariat[name] } do
    answers[#answers + 1] = lariat.isatty(x) and "yes" or "no"
  end
end
io.open(os.getenv "ANSWERS", "w"):write(table.concat(answers, " "))]]

-- What a program answers about its standard streams, each by number, file and stream.
local function answers(command)
  local script <close> = program.file(ASK)
  local path = os.tmpname()
  local child <close> = assert(lariat.run { "script", "-qec", command:format(program.path,
    script.path), "/dev/null", stdin = "pipe", env = { ANSWERS = path } })
  child.stdout:receive "*a"
  local file <close> = assert(io.open(path))
  local text = file:read "a"
  os.remove(path)
  return text
end

describe("lariat.isatty", function()
  it("knows a terminal by number, by io's file and by lariat's stream", function()
    assert.equal("yes yes yes yes yes yes yes yes yes", answers "%s %s")
    assert.equal("no no no yes yes yes yes yes yes", answers "%s %s </dev/null")
    assert.equal("yes yes yes no no no yes yes yes", answers "%s %s >/dev/null")
    assert.equal("yes yes yes yes yes yes no no no", answers "%s %s 2>&-")
  end)

  it("is false for sockets, pipes, files, and what is closed or not open", function()
    local client, accepted = test.pair()
    assert.is_false(lariat.isatty(client))
    assert.is_false(lariat.isatty(client:getfd()))
    accepted:close()
    assert.is_false(lariat.isatty(accepted))
    assert.is_false(lariat.isatty(assert(socket.udp())))
    local child <close> = assert(lariat.run { "true" })
    assert.is_false(lariat.isatty(child.stdout))
    local file = assert(io.open "/dev/null")
    assert.is_false(lariat.isatty(file))
    file:close()
    assert.is_false(lariat.isatty(file))
    assert.is_false(lariat.isatty(123456))
  end)

  it("is false in a simulated host, which has no terminal", function()
    local script <close> = program.file [[
      local lariat = require "lariat"
      print(lariat.isatty(0), lariat.isatty(1), lariat.isatty(io.stdout),
        lariat.isatty(lariat.stdin))
      print(pcall(lariat.isatty, {}))]]
    local printed
    sim.run({ echo = false }, function(net)
      local host = net:client("h", script.path)
      host:wait()
      printed = host:output()
    end)
    assert.matches("^false\tfalse\tfalse\tfalse\nfalse\tbad argument #1 to '?[^\n]*\n$", printed)
  end)

  it("refuses everything else", function()
    local expected = "bad argument #1 to 'isatty' (descriptor, stream or file expected, got "
    misuse.of(function() local _ = lariat.isatty() end, expected .. "no value)")
    misuse.of(function() local _ = lariat.isatty {} end, expected .. "table)")
    misuse.of(function() local _ = lariat.isatty "0" end, expected .. "string)")
    misuse.of(function() local _ = lariat.isatty(-1) end, "descriptor expected, not negative")
    misuse.of(function() local _ = lariat.isatty(0.5) end, "number has no integer representation")
    misuse.of(function() local _ = lariat.isatty(1 << 40) end, "descriptor expected")
  end)
end)
