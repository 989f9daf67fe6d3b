-- SPDX-License-Identifier: MIT
--
-- Where a script's own modules are found: in its folder, after everything package.path names.

local peers = require "spec.support.peers"
local program = require "spec.support.program"
local run = peers.run

local PROGRAM = run("realpath", program.path):match "[^\n]+"

-- A folder with a script, a module beside it, a package, and a folder that links to the script.
local function tree(script)
  local dir = peers.directory()
  run("mkdir", dir.path .. "/app", dir.path .. "/app/pack", dir.path .. "/bin")
  dir:write("app/beside.lua", "return 'beside'")
  dir:write("app/pack/init.lua", "return 'a package'")
  dir:write("app/main.lua", script or "print(require 'beside', (require 'pack'))")
  run("ln", "-s", "../app/main.lua", dir.path .. "/bin/tool")
  return dir
end

-- What a command of the shell prints in that folder; $L is lariat.
local function output(dir, command)
  return run("sh", "-c", ("cd '%s' && L='%s' && %s"):format(dir.path, PROGRAM, command))
end

describe("a script finds the modules beside it", function()
  it("from wherever it is started", function()
    local dir <close> = tree()
    for _, command in ipairs { "$L app/main.lua", "$L ./app/main.lua", "cd app && $L main.lua",
      "cd bin && $L ../app/main.lua", "cd / && $L '" .. dir.path .. "/app/main.lua'" } do
      assert.equal("beside\ta package\n", (output(dir, command)))
    end
  end)

  it("where the script is a symbolic link: beside what that leads to", function()
    local dir <close> = tree()
    dir:write("bin/beside.lua", "return 'beside the link'")
    assert.equal("beside\ta package\n", (output(dir, "$L bin/tool")))
  end)

  it("after everything that package.path names", function()
    local dir <close> = tree()
    dir:write("bin/beside.lua", "return 'of LUA_PATH'")
    assert.equal("of LUA_PATH\ta package\n",
      (output(dir, "LUA_PATH='bin/?.lua;;' $L app/main.lua")))
    assert.equal("beside\ta package\n", (output(dir, "LUA_PATH='/nowhere/?.lua' $L app/main.lua")))
  end)

  it("that are required by -l", function()
    local dir <close> = tree "print(beside)"
    assert.equal("beside\n", (output(dir, "$L -l beside app/main.lua")))
  end)

  it("in a simulation, by --sim and as a host of a run", function()
    local dir <close> = tree()
    assert.equal("beside\ta package\n", (output(dir, "$L --sim=1 app/main.lua")))
    dir:write("simulated.lua", [[
      local host
      require "lariat.sim".run({ echo = false }, function(net)
        host = net:client("h", "bin/tool")
        host:wait()
        io.write(host:output())
      end)]])
    assert.equal("beside\ta package\n", (output(dir, "$L simulated.lua")))
  end)

  it("by entries of package.path and package.cpath, which hold the folder's real path", function()
    local dir <close> = tree [[
      local folder = arg[1]
      local function ends(text, entries) return text:sub(-#entries) == entries end
      print(ends(package.path, (";%s/?.lua;%s/?/init.lua"):format(folder, folder)),
        ends(package.cpath, (";%s/?.so"):format(folder)),
        package.searchpath("beside", package.path))]]
    local folder = run("realpath", dir.path .. "/app"):match "[^\n]+"
    assert.equal(("true\ttrue\t%s/beside.lua\n"):format(folder),
      (output(dir, ("$L bin/tool '%s'"):format(folder))))
  end)

  it("and names that folder if there is no such module", function()
    local dir <close> = tree "print(select(2, pcall(require, 'no.such')))"
    local folder = run("realpath", dir.path .. "/app"):match "[^\n]+"
    assert.truthy(output(dir, "$L app/main.lua"):find(folder .. "/no/such.lua", 1, true))
  end)
end)

describe("no folder is added", function()
  local ASK = "print(package.path:find('app', 1, true), package.path:sub(-13))"

  it("for -e, standard input and the prompt", function()
    local dir <close> = tree()
    local expected = "nil\t;./?/init.lua\n"
    assert.equal(expected, (output(dir, ("cd app && $L -e \"%s\""):format(ASK))))
    assert.equal(expected, (output(dir, ("cd app && echo \"%s\" | $L"):format(ASK))))
    assert.equal(expected, (output(dir, ("cd app && echo \"%s\" | $L - main.lua"):format(ASK))))
    assert.matches("\nnil\t;%./%?/init%.lua\n$",
      (output(dir, ("cd app && echo \"%s\" | $L -i"):format(ASK))))
  end)

  it("whose name has characters that mean something in package.path", function()
    local dir <close> = peers.directory()
    run("mkdir", dir.path .. "/what?", dir.path .. "/a;b")
    dir:write("what?/main.lua", ASK)
    dir:write("a;b/main.lua", ASK)
    assert.equal("nil\t;./?/init.lua\n", (output(dir, "$L 'what?/main.lua'")))
    assert.equal("nil\t;./?/init.lua\n", (output(dir, "$L 'a;b/main.lua'")))
  end)
end)

describe("a spec file", function()
  it("finds the modules beside it, and not those beside others", function()
    local dir <close> = peers.directory()
    run("mkdir", dir.path .. "/one", dir.path .. "/two")
    dir:write("one/beside.lua", "return 'beside'")
    dir:write("one/a_spec.lua", [[
      local beside = require "beside"
      it("finds it", function() assert.equal("beside", beside) end)
      it("finds it while it runs", function() assert.equal("beside", require "beside") end)]])
    dir:write("two/b_spec.lua", [[
      it("does not find it", function()
        assert.is_false((pcall(require, "beside")))
        assert.is_nil(package.path:find("/one/", 1, true))
      end)]])
    assert.matches("3 successes / 0 failures / 0 errors",
      (output(dir, "$L --test one/a_spec.lua two")))
  end)
end)
