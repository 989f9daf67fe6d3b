-- SPDX-License-Identifier: MIT
--
-- What the documents promise about the package: which other packages it needs, which C library, how
-- long the examples are, and that what `make install` puts somewhere has no dead links there.

local files = require "spec.support.files"
local lariat = require "lariat"
local peers = require "spec.support.peers"

local read, exists = files.read, files.exists

local function output_of(command)
  local child <close> = assert(lariat.run(command))
  local text = child.stdout:receive "*a" or "" -- nil if there is nothing
  assert.same({ "exit", 0 }, { child:wait() }, text)
  return text
end

local function sorted(names)
  local list = {}
  for name in pairs(names) do list[#list + 1] = name end
  table.sort(list)
  return list
end

local function section(text, heading)
  return assert(text:match("\n## " .. heading .. "\n(.-)\n## ")
    or text:match("\n## " .. heading .. "\n(.*)$"), heading)
end

local readme = read "README.md"

describe("README.md", function()
  it("lists the packages that make deps and make deps-peers install, and no others", function()
    local needed, listed = {}, {}
    for name in read(".ci/deps.sh"):gmatch "\n%l+ +([%w.+-]+) +%l+:%S" do needed[name] = true end
    for names in section(readme, "Dependencies"):gmatch "\n| ([^|]+) | " do
      if names == "Package" then names = "" end
      for name in names:gsub(" and ", ", "):gmatch "[%l%d][%w.+-]*" do listed[name] = true end
    end
    assert.same(sorted(needed), sorted(listed))
  end)

  -- Elsewhere than on Debian 12 the program asks for what it was built with.
  it("says which glibc a program built on Debian 12 needs", function()
    local named = assert(readme:match "glibc (2%.%d+) or newer")
    local built_with = output_of { "getconf", "GNU_LIBC_VERSION" }
    local program, newest = os.getenv "LARIAT" or "./lariat", 0
    for minor in output_of({ "objdump", "-T", program }):gmatch "GLIBC_2%.(%d+)" do
      newest = math.max(newest, tonumber(minor))
    end
    local stated = tonumber(named:match "%d+$")
    assert.is_true(not built_with:find "2%.36" or newest <= stated, "needs glibc 2." .. newest)
  end)

  it("keeps each example to 120 lines", function()
    local longest = assert(readme:match "at most (%d+) lines")
    for path in output_of({ "find", "examples", "-name", "*.lua" }):gmatch "%S+" do
      local _, lines = read(path):gsub("\n", "\n")
      assert.is_true(lines <= tonumber(longest), ("%s has %d lines"):format(path, lines))
    end
  end)
end)

describe("what libuv does", function()
  it("is the same in all documents", function()
    for path, jobs in pairs {
      ["README.md"] = "| libuv1%-dev | building | name lookups, signals, child processes |",
      [".ci/deps.sh"] = "libuv1%-dev +library:libuv +name lookups, signals, child processes",
      ["CHANGELOG.md"] = "libuv looks up names, delivers signals and starts child processes%.",
      ["docs/design.md"] = "libuv looks up names, delivers signals and starts processes%.",
    } do
      assert(read(path):gsub("%s+", " "):find(jobs), path)
    end
    assert.is_nil(read "CHANGELOG.md":find("over libuv", 1, true))
  end)
end)

describe("docs/lariat.1", function()
  it("has a NAME that says what README.md says", function()
    local page = read "docs/lariat.1"
    local name, what = page:match "%.Sh NAME\n%.Nm (%w+)\n%.Nd ([^\n]+)\n"
    assert.equal("lariat", name)
    assert.equal("run Lua scripts that speak TCP, UDP and unix sockets", what)
    assert(readme:find("runs Lua 5.4 scripts that speak TCP, UDP and unix sockets", 1, true))
  end)
end)

-- Links -------------------------------------------------------------------------------------------

-- The headings of a page, as what links to them name.
local function anchors_of(text)
  local anchors = {}
  for heading in text:gsub("```.-```", ""):gmatch "\n#+ ([^\n]+)" do
    anchors[heading:lower():gsub("[^%w _-]", ""):gsub(" ", "-")] = true
  end
  return anchors
end

-- The links of a page to files, and to headings, that lead nowhere.
local function dead_links(folder, page)
  local dead, text = {}, read(folder .. "/" .. page)
  local base = folder .. "/" .. (page:match "^(.*/)" or "")
  for link in text:gsub("```.-```", ""):gmatch "%]%(([^)%s]+)%)" do
    local file, anchor = link:match "^([^#]*)#?(.*)$"
    local target = file == "" and folder .. "/" .. page or base .. file
    local remote = file:find "^%a+://"
    local found = remote or exists(target)
    if found and not remote and anchor ~= "" then found = anchors_of(read(target))[anchor] end
    if not found then dead[#dead + 1] = page .. ": " .. link end
  end
  return dead
end

local function check_links(folder)
  local pages = 0
  for page in output_of({ "find", ".", "-name", "*.md", cwd = folder }):gmatch "%./(%S+)" do
    assert.same({}, dead_links(folder, page))
    pages = pages + 1
  end
  assert.is_true(pages > 6)
end

describe("the documents", function()
  it("have no dead links here", function()
    local find = { "find", "README.md", "CHANGELOG.md", "docs", "bench", "-name", "*.md" }
    for page in output_of(find):gmatch "%S+" do
      assert.same({}, dead_links(".", page))
    end
  end)

  it("have no dead links where make install puts them", function()
    local dir <close> = peers.directory()
    local goal = exists "lariat" and "install" or "install-docs" -- only another variant was built
    output_of { "make", "-s", "-o", "lariat", goal, "DESTDIR=" .. dir.path, "PREFIX=/usr",
      env = { MAKEFLAGS = false, MAKELEVEL = false, MFLAGS = false }, stderr = "stdout" }
    check_links(dir.path .. "/usr/share/doc/lariat")
    assert.is_true(exists(dir.path .. "/usr/share/man/man1/lariat.1"))
    assert.is_true(exists(dir.path .. "/usr/share/lariat/types/socket.lua"))
  end)
end)
