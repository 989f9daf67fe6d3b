-- SPDX-License-Identifier: MIT
--
-- `lariat --sim`: a whole script as the world of a run, and the command that repeats it.

local lariat = require "lariat"
local run = require "spec.support.program"

describe("lariat --sim", function()
  local SCRIPT = [[
    local net = require "lariat.sim".network()
    net:host("server", %q, "*", 7000)
    net:client("client", %q, "server", 7000, "hello")
    require "socket".sleep(3600)
    print(os.time(), ...)
    assert(... ~= "fail", "as asked")
  ]]

  local function script()
    return run.file(SCRIPT:format("examples/tcp_echo_server.lua", "examples/tcp_echo_client.lua"))
  end

  it("runs a whole script, which may start others, in no time", function()
    local file <close> = script()
    local out, err, status = run.lariat { "--sim=17", file.path, "x" }
    assert.same({ "", 0 }, { err, status })
    assert.matches("%d%.%d+ client| hello\n", out)
    assert.matches("946688400\tx\n$", out)
  end)

  it("says how to repeat a run that failed", function()
    local file <close> = script()
    local _, err, status = run.lariat { "-e", "x = 1", "--sim", file.path, "fail" }
    local seed = err:match "^lariat: seed (%d+): host 'world' failed"
    assert.equal(1, status)
    assert.matches("as asked", err)
    local command = err:match "\nreplay: ([^\n]+)\n$"
    assert.equal(("%s -e 'x = 1' --sim=%s %s fail"):format(run.path, seed, file.path), command)
    local child <close> = lariat.run { "sh", "-c", command, stderr = "pipe" }
    assert.equal(err, child.stderr:receive "*a")
  end)

  it("is refused without a script, and with a seed that is none", function()
    for _, arguments in ipairs { { "--sim" }, { "--sim=x", "script.lua" }, { "--sim=", "x" },
      { "--sim=3", "--test", "spec" } } do
      local _, err, status = run.lariat(arguments)
      assert.equal(2, status)
      assert.matches("^lariat: '%-%-sim", err)
    end
  end)
end)
