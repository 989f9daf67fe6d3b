-- SPDX-License-Identifier: MIT

local socket = require "socket"
local example = require "spec.support.example"

local LOOPBACK = "127.0.0.1"

describe("the HTTP server", function()
  local server, root, remove
  local big = ("0123456789abcde\n"):rep(65536)

  setup(function()
    root, remove = example.directory()
    example.peer { "mkdir", root .. "/sub", root .. "/a b", root .. "/empty" }
    example.write(root .. "/index.html", "<h1>root</h1>\n")
    example.write(root .. "/sub/index.html", "<h1>sub</h1>\n")
    example.write(root .. "/a b/100%.txt", "odd\n")
    example.write(root .. "/big.bin", big)
    example.write(root .. "/nothing.css", "")
    example.write(root .. "/.secret", "secret\n")
    example.write(root .. "/image.PNG", "png\n")
  end)
  teardown(function() getmetatable(remove).__close(remove) end)
  before_each(function() server = example.start("http_server", root, LOOPBACK, 0) end)
  after_each(function() server:stop() end)

  local function curl(path, ...)
    return (example.peer {
      "curl", "-s", "--path-as-is", ("http://%s:%d%s"):format(LOOPBACK, server.port, path), ...,
    })
  end

  -- Status, and any other variables of curl's -w.
  local function status(path, ...)
    return curl(path, "-o", "/dev/null", "-w", "%{http_code}", ...)
  end

  local function field(name, path, ...)
    local head = curl(path, "-o", "/dev/null", "-D", "-", ...)
    return head:match("\r\n" .. name:gsub("%-", "%%-") .. ": ([^\r]*)")
  end

  it("serves files, with their types and an index for directories", function()
    assert.equal("<h1>root</h1>\n200", curl("/", "-w", "%{http_code}"))
    assert.equal("<h1>sub</h1>\n", curl "/sub/?query")
    assert.equal("odd\n", curl "/a%20b/./100%25.txt")
    assert.is_true(curl "/big.bin" == big)
    assert.equal("200", status "/nothing.css")
    assert.equal("text/html; charset=utf-8", field("Content-Type", "/"))
    assert.equal("text/css; charset=utf-8", field("Content-Type", "/nothing.css"))
    assert.equal("image/png", field("Content-Type", "/image.PNG"))
    assert.equal("application/octet-stream", field("Content-Type", "/big.bin"))
    assert.equal("/a%20b/", field("Location", "/a%20b"))
    assert.equal("301", status "/sub")
  end)

  it("keeps the connection, for HTTP/1.0 if asked to", function()
    local url = ("http://%s:%d/"):format(LOOPBACK, server.port)
    local output = example.peer {
      "curl", "-s", url, url .. "none", url .. "sub/", "-w", "%{num_connects} ", "-o", "/dev/null",
      "-o", "/dev/null", "-o", "/dev/null",
    }
    assert.equal("1 0 0 ", output)
    assert.equal("close", field("Connection", "/", "-0"))
    assert.equal("keep-alive", field("Connection", "/", "-0", "-H", "Connection: Keep-Alive"))
    assert.equal("close", field("Connection", "/", "-H", "Connection: close"))
  end)

  it("answers HEAD without a body", function()
    local conn <close> = assert(socket.connect(LOOPBACK, server.port))
    conn:send "HEAD /big.bin HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    local answer = conn:receive "*a"
    assert.is_truthy(answer:find("Content-Length: 1048576\r\n", 1, true))
    assert.equal("\r\n\r\n", answer:sub(-4))
  end)

  it("serves ranges", function()
    assert.equal("0123456789206", curl("/big.bin", "-r", "0-9", "-w", "%{http_code}"))
    assert.equal("cde\n", curl("/big.bin", "-r", "-4"))
    assert.equal("de\n", curl("/big.bin", "-r", "1048573-"))
    assert.equal("e\n", curl("/big.bin", "-r", "1048574-9999999"))
    assert.equal("bytes 5-6/1048576", field("Content-Range", "/big.bin", "-r", "5-6"))
    assert.equal("416", status("/big.bin", "-r", "1048576-"))
    assert.equal("bytes */1048576", field("Content-Range", "/big.bin", "-r", "2000000-"))
    assert.equal("416", status("/nothing.css", "-r", "0-"))
    assert.equal("200", status("/big.bin", "-r", "6-5"))
    assert.equal("200", status("/big.bin", "-H", "Range: lines=1-2"))
    assert.equal("200", status("/big.bin", "-r", "0-9", "-H", "If-Range: \"other\""))
  end)

  it("does not send again what has not been modified", function()
    local date = field("Last-Modified", "/big.bin")
    assert.is_truthy(date:find "^%u%l%l, %d%d %u%l%l %d%d%d%d %d%d:%d%d:%d%d GMT$")
    assert.equal("304", status("/big.bin", "-H", "If-Modified-Since: " .. date))
    assert.equal("0123206", curl("/big.bin", "-r", "0-3", "-H", "If-Range: " .. date,
      "-w", "%{http_code}"))
    assert.equal("200",
      status("/big.bin", "-H", "If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT"))
  end)

  it("does not leave its directory, nor show hidden files", function()
    for _, path in ipairs {
      "/../../etc/passwd", "/sub/../index.html", "/%2e%2e/etc/passwd", "/..%2fetc/passwd",
      "/sub%2findex.html", "/%zz", "/index.html%00.txt", "/%0d%0aX:y",
    } do
      assert.equal("400", status(path), path)
    end
    for _, path in ipairs { "/.secret", "/%2esecret", "/none", "/index.html/", "/empty/" } do
      assert.equal("404", status(path), path)
    end
  end)

  it("refuses other methods", function()
    assert.equal("405", status("/", "-d", "x=1"))
    assert.equal("405", status("/", "-X", "DELETE"))
    assert.equal("GET, HEAD", field("Allow", "/", "-X", "PUT"))
  end)

  local function raw(text)
    local answer = example.peer { "ncat", LOOPBACK, server.port, input = text }
    return answer:match "^HTTP/1.1 (%d+)", select(2, answer:gsub("HTTP/1.1 ", ""))
  end

  it("refuses requests that make no sense, and those without measure", function()
    assert.equal("400", raw "hello\r\n\r\n")
    assert.equal("400", raw "GET / HTTP/1.1\r\n\r\n") -- no Host
    assert.equal("400", raw "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
    assert.equal("400", raw "GET / HTTP/1.1\r\nHost : a\r\n\r\n")
    assert.equal("400", raw "GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n")
    assert.equal("400", raw "GET index.html HTTP/1.1\r\nHost: a\r\n\r\n")
    assert.equal("505", raw "GET / HTTP/2.0\r\nHost: a\r\n\r\n")
    assert.equal("431", raw("GET / HTTP/1.1\r\nX: " .. ("x"):rep(9000) .. "\r\n\r\n"))
    assert.equal("431", raw("GET / HTTP/1.1\r\n" .. ("X: x\r\n"):rep(101) .. "\r\n"))
    assert.equal("431", raw("GET /" .. ("x"):rep(100000)))
    assert.equal("200", (raw "GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
  end)

  it("takes the body of a request for no request", function()
    local request = "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 31\r\n\r\n"
    assert.same({ "200", 1 }, { raw(request .. "GET /sub/ HTTP/1.1\r\nHost: a\r\n\r\n") })
    local get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    assert.same({ "200", 3 }, { raw(get:rep(3)) }) -- pipelined
  end)

  it("stands wrk, beside clients that vanish", function()
    local vanishing <close> = assert(socket.connect(LOOPBACK, server.port))
    vanishing:send "GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n"
    local output, how, code = example.peer {
      "wrk", "-t", 1, "-c", 16, "-d", "1s", "--timeout", "30s",
      ("http://%s:%d/index.html"):format(LOOPBACK, server.port),
    }
    assert.same({ "exit", 0 }, { how, code })
    assert.is_true(math.tointeger(output:match "(%d+) requests in") > 0)
    assert.is_nil(output:match "Non%-2xx.*")
    assert.is_nil(output:match "Socket errors.*")
  end)
end)

it("the HTTP server refuses bad arguments", function()
  assert.is_true(example.refuses("http_server", ".", LOOPBACK, "http"))
end)
