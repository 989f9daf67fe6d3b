-- SPDX-License-Identifier: MIT
--
-- docs/luasocket.md is true: it names every function of LuaSocket and every method of its objects,
-- the specs it points to exist and use the library, and its examples are Lua.

local core = require "socket.core"
local lariat = require "lariat"
local ngx = require "ngx"
local socket = require "socket"
local task = require "lariat.task"

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

local text = read "docs/luasocket.md"
local calls = text:match "\n## Call by call\n(.-)\n## "

-- What LuaSocket itself has, asked under stock Lua.
local ASK = [[
  local socket = require "socket"
  for name in pairs(socket) do print("socket." .. name) end
  for name in pairs(socket.dns) do print("socket.dns." .. name) end
  for _, object in ipairs { socket.tcp(), socket.udp() } do
    for name in pairs(getmetatable(object).__index) do print(name) end
  end
]]

describe("docs/luasocket.md", function()
  it("says of every call of LuaSocket what becomes of it", function()
    local lua <close> = assert(lariat.run { "lua5.4", "-e", ASK })
    local missing, count = {}, 0
    for name in lua.stdout:lines() do
      local known = calls:find("`" .. name .. "`", 1, true)
        or name == "class" or name == "socket.dns" or name == "socket._DEBUG"
      if not known then missing[#missing + 1] = name end
      count = count + 1
    end
    assert.same({}, missing)
    assert.is_true(count > 50)
  end)

  it("names only what is there", function()
    local missing = {}
    for path in calls:gmatch "`socket%.([%w_.]+)`" do
      local value = socket
      for name in path:gmatch "[%w_]+" do value = value and value[name] end
      local optional = path == "unix" or path == "serial"
      if value == nil and not optional then missing[#missing + 1] = path end
    end
    for name in text:gmatch "`task%.(%w+)" do
      if task[name] == nil then missing[#missing + 1] = "task." .. name end
    end
    for name in text:gmatch "`lariat%.(%w+)" do
      if lariat[name] == nil then missing[#missing + 1] = "lariat." .. name end
    end
    for names in text:gmatch "\n| (`sock:[^|]+) | as is" do
      for name in names:gmatch "`sock:(%w+)" do
        if not ngx.socket.tcp()[name] then missing[#missing + 1] = "ngx: " .. name end
      end
    end
    for names in calls:gmatch "\n| ([^|]+) |" do
      for method in names:gmatch "`(%l+)`" do
        local there = core.methods "tcp{client}"[method] or core.methods "udp{connected}"[method]
        if not there then missing[#missing + 1] = method end
      end
    end
    assert.same({}, missing)
  end)

  it("points to a spec for each library, which requires it", function()
    local libraries = text:match "\n## Libraries.-\n(|.-)\n\n"
    local count = 0
    for names, path in libraries:gmatch "\n| (`[^|]+) |[^|]+|[^|]+| `([^`]+)` |" do
      local spec = read(path)
      for name in names:gmatch "`([%w.]+)`" do
        local required = 'require "' .. name:gsub("%.", "%%.") .. '"'
        assert(spec:find(required), path .. " does not require " .. name)
        count = count + 1
      end
    end
    assert.equal(14, count)
  end)

  it("has examples that compile", function()
    for code in text:gmatch "```lua\n(.-)```" do assert(load(code)) end
  end)
end)
