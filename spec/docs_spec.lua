-- SPDX-License-Identifier: MIT
--
-- The documents are complete: every function and method that scripts reach is in docs/reference.md
-- and in docs/types, nothing else is, and the files they name exist.

local files = require "spec.support.files"
local core = require "socket.core"
local dns = require "lariat.dns"
local lariat = require "lariat"
local ngx = require "ngx"
local serve = require "lariat.internal.net.serve"
local sim = require "lariat.sim"
local socket = require "socket"
local task = require "lariat.task"
local test = require "lariat.test"
local unix = require "socket.unix"
local wire = require "lariat.wire"

local read, exists = files.read, files.exists

local reference, readme = read "docs/reference.md", read "README.md"

local TYPES = {
  "docs/types/socket.lua", "docs/types/socket_unix.lua", "docs/types/lariat.lua",
  "docs/types/lariat_task.lua", "docs/types/lariat_sim.lua", "docs/types/lariat_test.lua",
  "docs/types/lariat_wire.lua", "docs/types/ngx.lua", "docs/types/lariat_dns.lua",
}

-- Each class of the types: its parents, and the names of its fields and functions.
local classes = {}

local function add_class(text, name, rest, body)
  local class = { parents = rest:match ": (.*)" or "", names = {} }
  local head = ("\n" .. body):match "^(.-)\n\n"
  for field in head:gmatch "\n%-%-%-@field ([%a_][%w_]*)" do class.names[field] = true end
  local variable = head:match "([%w_.]+) = {}"
  if variable then
    local pattern = "\nfunction " .. variable:gsub("%.", "%%.") .. "[.:]([%a_][%w_]*)%("
    for f in text:gmatch(pattern) do class.names[f] = true end
  end
  classes[name] = class
end

for _, path in ipairs(TYPES) do
  local text = read(path)
  for name, rest, at in text:gmatch "\n%-%-%-@class ([%w_.]+)([^\n]*)\n()" do
    add_class(text, name, rest, text:sub(at))
  end
end

-- What the types declare for a class and for those it is made from: name -> true.
local function declared(name)
  local class = assert(classes[name], "no class " .. name .. " in docs/types")
  local names = {}
  for parent in class.parents:gmatch "[%w._]+" do
    for inherited in pairs(declared(parent)) do names[inherited] = true end
  end
  for own in pairs(class.names) do names[own] = true end
  return names
end

-- What the headings of the reference describe: "receive" of "### conn:receive([pattern])".
local function described()
  local names = {}
  for heading in reference:gmatch "\n###+ ([^\n]+)" do
    for name in heading:gmatch "[%w_][.:]([%a_][%w_]*)" do names[name] = true end
  end
  return names
end

-- Names a heading must have; a constant need only be mentioned as `module.NAME`.
local function missing_of(prefix, names)
  local headings, missing = described(), {}
  for name, value in pairs(names) do
    local found = headings[name]
    if type(value) ~= "function" then
      found = found or reference:find("`" .. prefix .. "." .. name .. "`", 1, true)
    end
    if not found then missing[#missing + 1] = prefix .. "." .. name end
  end
  table.sort(missing)
  return missing
end

local function sorted(names)
  local list = {}
  for name in pairs(names) do list[#list + 1] = name end
  table.sort(list)
  return list
end

local function methods_of(object)
  local methods = {}
  for name, value in pairs(getmetatable(object).__index) do
    methods[name] = not name:match "^__" and value or nil
  end
  return methods
end

local function child_methods()
  local names = {}
  local child <close> = assert(lariat.run { "true", stdin = "pipe", stderr = "pipe" })
  for name, value in pairs(getmetatable(child)) do
    if type(value) == "function" and name:sub(1, 2) ~= "__" then names[name] = value end
  end
  for name in pairs(child) do names[name] = name ~= "handle" or nil end
  child:wait()
  return names
end

-- Its streams are made when first asked for.
local function module_lariat()
  local names = { stdin = true, stdout = true, stderr = true }
  for name, value in pairs(lariat) do names[name] = value end
  return names
end

local signal <close> = lariat.signal "USR2"

local OBJECTS = {
  ["socket.TcpAny"] = core.methods "tcp{master}",
  ["socket.Udp"] = core.methods "udp{unconnected}",
  ["socket.UnixAny"] = core.methods "unixstream{master}",
  ["socket.UnixDatagrams"] = core.methods "unixdgram{unconnected}",
  ["socket.Stream"] = core.methods "stream",
  ["lariat.Task"] = methods_of(task.current()),
  ["lariat.Signal"] = methods_of(signal),
  ["lariat.Channel"] = methods_of(task.channel()),
  ["lariat.Semaphore"] = methods_of(task.semaphore(1)),
  ["lariat.Event"] = methods_of(task.event()),
  ["lariat.Group"] = task.group(methods_of),
  ["ngx.Tcp"] = methods_of(ngx.socket.tcp()),
}

-- A network and its hosts exist while a simulation runs. The methods, and the fields for scripts.
local function with_fields(object, ...)
  local names = methods_of(object)
  for _, field in ipairs { ... } do
    names[field] = rawget(object, field) ~= nil or nil
  end
  return names
end

OBJECTS["lariat.wire.Message"] = with_fields(wire.message "empty" {}, "name", "limit", "depth")

local result = sim.try({}, function(net)
  local host = net:host("host", function() end)
  OBJECTS["lariat.sim.Network"] = with_fields(net, "seed")
  OBJECTS["lariat.sim.Host"] = with_fields(host, "name", "address", "address6")
  error "so that there is one in the result"
end)
OBJECTS["lariat.sim.Result"] =
  with_fields(result, "error", "events", "faults", "hash", "ok", "raised", "seed", "time")

-- A server of lariat.test, while there is one.
do
  local made = test.serve(function() end)
  OBJECTS["lariat.test.Server"] = with_fields(made, "host", "port", "server", "task")
  made:close()
end

local MODULES = { socket = socket, lariat = module_lariat(), ["lariat.task"] = task,
                  ["lariat.sim"] = sim, ["lariat.test"] = test, ["lariat.dns"] = dns,
                  ngx = ngx,
                  ["ngx.socket"] = ngx.socket,
                  ["socket.unix"] = unix, ["socket.dns"] = socket.dns }

describe("docs/reference.md", function()
  for class, methods in pairs(OBJECTS) do
    it("describes every method of " .. class, function()
      local names = {}
      for name, value in pairs(methods) do
        names[name] = type(value) == "function" and value or nil
      end
      if class == "ngx.Tcp" then names = {} end -- they are in docs/luasocket.md
      assert.same({}, missing_of(class, names))
    end)
  end

  it("describes every method of a child process", function()
    local names = {}
    for name, value in pairs(child_methods()) do
      names[name] = type(value) == "function" and value or nil
    end
    assert.same({}, missing_of("child", names))
  end)

  for module, functions in pairs(MODULES) do
    it("describes every function of " .. module, function()
      local names = {}
      for name, value in pairs(functions) do names[name] = value end
      names.dns, names.sinkt, names.sourcet = nil, nil, nil
      if module == "socket.unix" then names._VERSION = nil end
      if module:find "^ngx" then names = {} end -- they are in docs/luasocket.md
      assert.same({}, missing_of(module, names))
    end)
  end

  it("names every option", function()
    local source = read "src/net/options.c"
    for name in source:gmatch "\n    {\"([%w-]+)\"," do
      assert(reference:find("`" .. name .. "`", 1, true), "option not described: " .. name)
    end
  end)

  it("gives the reason of every difference from LuaSocket", function()
    local text = reference:gsub("`", ""):gsub("%s+", " ")
    for _, group in ipairs(dofile "spec/differential/differences.lua") do
      local reason = group.reason:gsub("%s+", " "):gsub("%.$", "")
      assert(text:find(reason, 1, true), "difference not described: " .. reason)
    end
  end)

  it("has a heading for every link to one", function()
    local anchors = {}
    for heading in reference:gmatch "\n#+ ([^\n]+)" do
      anchors[heading:lower():gsub("[^%w _-]", ""):gsub(" ", "-")] = true
    end
    for anchor in reference:gmatch "%]%(#([^)]+)%)" do
      assert(anchors[anchor], "no heading for #" .. anchor)
    end
    for anchor in readme:gmatch "%]%(docs/reference%.md#([^)]+)%)" do
      assert(anchors[anchor], "no heading for #" .. anchor)
    end
  end)
end)

describe("docs/types", function()
  it("declares the functions and types of lariat.wire", function()
    assert.same(sorted(wire), sorted(declared "lariat.wire"))
  end)

  it("is Lua", function()
    for _, path in ipairs(TYPES) do assert(loadfile(path)) end
  end)

  for class, methods in pairs(OBJECTS) do
    it("declares the methods of " .. class, function()
      assert.same(sorted(methods), sorted(declared(class)))
    end)
  end

  it("declares the methods and fields of a child process", function()
    assert.same(sorted(child_methods()), sorted(declared "lariat.Process"))
  end)

  for module, functions in pairs(MODULES) do
    it("declares the functions of " .. module, function()
      local names = declared(module)
      assert.same(sorted(functions), sorted(names))
    end)
  end
end)

-- Which names a class of options declares that the function refuses to know.
local function unknown_options(class, call)
  local unknown = {}
  for name in pairs(declared(class)) do
    local ok, message = pcall(call, { [name] = {} })
    local known = ok or not tostring(message):find("no .*option")
    if not known then unknown[#unknown + 1] = name end
  end
  return unknown
end

describe("docs/types", function()
  local function nothing() end

  it("declares no option of serving and connecting that does not exist", function()
    local server <close> = assert(socket.bind("127.0.0.1", 0))
    assert.same({}, unknown_options("socket.ServeOptions", function(options)
      server:serve(nothing, options)
    end))
    assert.same({}, unknown_options("socket.BindServeOptions", function(options)
      socket.serve("127.0.0.1", 0, nothing, options)
    end))
    assert.same({}, unknown_options("lariat.test.ServeOptions", function(options)
      test.serve(nothing, options)
    end))
    assert.same({}, unknown_options("socket.ConnectOptions", function(options)
      socket.connect("127.0.0.1", 1, options)
    end))
  end)

  it("declares no option of child processes and simulations that does not exist", function()
    assert.same({}, unknown_options("lariat.RunOptions", function(options)
      options[1] = "true"
      lariat.run(options)
    end))
    assert.same({}, unknown_options("lariat.sim.TestOptions", function(options)
      sim.run(options, nothing)
    end))
  end)

  it("declares every option of serving", function()
    for option in pairs(serve.OPTIONS) do
      assert.is_true(declared "socket.ServeOptions"[option], option)
    end
  end)

  it("declares a task's and a child's options where they are given", function()
    for _, f in ipairs { "function task.spawn", "function Group:spawn" } do
      local text = read "docs/types/lariat_task.lua"
      local head = text:sub(1, text:find(f, 1, true)):match "\n\n([^\n].-)$"
      while head:find "\n\n" do head = head:match "\n\n(.*)$" end
      assert(head:find("@param options { name?: string }", 1, true), f)
      assert(head:find("@overload fun(", 1, true), f)
    end
  end)

  it("names the signals that can be waited for", function()
    local text = read "docs/types/lariat.lua":match "@alias lariat.SignalName\n(.-)\n\n"
    local named, known = {}, {}
    for name in text:gmatch '"(%u%w+)"' do named[name] = true end
    for name in read "src/base/signals.c":gmatch '{"(%u%w+)", SIG%w+, NULL}' do
      known[name] = true
    end
    assert.same(sorted(known), sorted(named))
  end)

  it("has no class with functions that no object or module here has", function()
    local checked = { ["lariat.Process"] = true, ["lariat.wire"] = true } -- see below
    local function mark(name)
      checked[name] = true
      for parent in classes[name].parents:gmatch "[%w._]+" do mark(parent) end
    end
    for _, group in ipairs { OBJECTS, MODULES } do
      for name in pairs(group) do mark(name) end
    end
    for _, path in ipairs(TYPES) do
      local text = read(path)
      for name, body in text:gmatch "\n%-%-%-@class ([%w_.]+)[^\n]*\n(.-)\n\n" do
        local data = not body:find "\nlocal [%w_]+ = {" and not body:find "^local [%w_]+ = {"
        assert.is_true(data or checked[name] or false, name)
      end
    end
  end)
end)

describe("docs/wire.md", function()
  local text = read "docs/wire.md"

  it("names every type and structure", function()
    for name in pairs(wire) do
      local mentioned = text:find("`" .. name, 1, true) or text:find("[^%w_]" .. name .. "[^%w_]")
      assert(mentioned or name:find "^[ui]%d+le$", "not in docs/wire.md: " .. name)
    end
  end)

  it("has the picture that describe makes", function()
    local picture = require "spec.wire.protocols".ipv4:describe():match "```\n.-\n```"
    assert(text:find(picture, 1, true))
  end)
end)

describe("docs/design.md", function()
  it("names files that exist", function()
    for path in read "docs/design.md":gmatch "`([%w_]+/[%w_/.]+)`" do
      assert(exists(path), "no such file: " .. path)
    end
  end)
end)

describe("docs/lariat.1", function()
  it("describes every switch that --help shows", function()
    local page = read "docs/lariat.1":gsub("Fl Fl ", "--"):gsub("Fl ", "-")
    local child <close> = assert(lariat.run { os.getenv "LARIAT" or "./lariat", "--help" })
    for switch in assert(child.stdout:receive "*a"):gmatch "\n  (%-%-?%a*)" do
      assert(page:find("\n.It " .. switch, 1, true), "not described: " .. switch)
    end
  end)
end)
