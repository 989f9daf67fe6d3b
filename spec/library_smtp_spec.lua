-- SPDX-License-Identifier: MIT
--
-- LuaSocket's own socket.smtp, as Debian ships it, against aiosmtpd and against servers that
-- misbehave.

local ltn12 = require "ltn12"
local mime = require "mime"
local net = require "spec.support.net"
local peers = require "spec.support.peers"
local smtp = require "socket.smtp"

local function mail_to(port, to, source)
  return smtp.send {
    from = "<sender@example.org>", rcpt = to, server = "127.0.0.1", port = port,
    source = source or smtp.message { headers = { subject = "hello" }, body = "a body\r\n" },
  }
end

describe("socket.smtp against aiosmtpd", function()
  local dir, server

  setup(function()
    dir = peers.directory()
    local port = peers.free_port()
    server = peers.start({ "/usr/bin/python3", "-m", "aiosmtpd", "-n", "-l",
      "127.0.0.1:" .. port, "-c", "aiosmtpd.handlers.Mailbox", dir.path .. "/mail" }, port)
  end)

  teardown(function()
    server:close()
    dir:close()
  end)

  -- The messages that have arrived, and takes them away.
  local function delivered()
    local messages = {}
    for name in peers.run("ls", dir.path .. "/mail/new"):gmatch "[^\n]+" do
      messages[#messages + 1] = dir:read("mail/new/" .. name)
      assert(os.remove(dir.path .. "/mail/new/" .. name))
    end
    return messages
  end

  it("sends a message to two", function()
    assert.equal(1, mail_to(server.port, { "<one@example.org>", "<two@example.org>" }))
    local messages = delivered()
    assert.equal(1, #messages)
    assert.matches("[Ss]ubject: hello", messages[1])
    assert.matches("\na body\r?\n", messages[1])
    assert.matches("X%-RcptTo: one@example.org, two@example.org", messages[1])
  end)

  it("stuffs a dot at the start of a line", function()
    local body = "first\r\n.\r\n..second\r\n"
    assert.equal(1, mail_to(server.port, "<one@example.org>",
      smtp.message { headers = { subject = "dots" }, body = body }))
    assert.matches("\nfirst\r?\n%.\r?\n%.%.second\r?\n", delivered()[1])
  end)

  it("sends an attachment through filters", function()
    local data = ("binary\0\255"):rep(20000)
    local encoded = ltn12.source.chain(ltn12.source.string(data),
      ltn12.filter.chain(mime.encode "base64", mime.wrap "base64"))
    local source = smtp.message {
      headers = { subject = "with attachment" },
      body = {
        preamble = "no MIME here",
        { body = mime.eol(0, "text\n") },
        { headers = { ["content-transfer-encoding"] = "base64" }, body = encoded },
      },
    }
    assert.equal(1, mail_to(server.port, "<one@example.org>", source))
    local sent -- the last part of the message
    for part in delivered()[1]:gmatch "\n\r?\n([%w+/=\r\n]-)\r?\n%-%-" do sent = part end
    assert.is_true(mime.unb64("", (sent:gsub("%s", ""))) == data)
  end)

  it("sends ten messages at once while a ticker beats", function()
    local ticker <close> = peers.ticker()
    local crowd = peers.crowd(10, ticker)
    local port, closer <close> = peers.held(server.port, crowd)
    assert.is_table(closer)
    peers.together(10, function(i)
      assert(mail_to(port, "<one@example.org>",
        smtp.message { headers = { subject = "number " .. i }, body = "x" }))
    end)
    assert.equal(10, crowd.most)
    local subjects = {}
    for _, message in ipairs(delivered()) do
      subjects[message:match "[Ss]ubject: (number %d+)"] = true
    end
    for i = 1, 10 do assert.is_true(subjects["number " .. i]) end
  end)
end)

describe("socket.smtp against a server that", function()
  local function send_to(handler, seconds)
    local port, closer <close> = net.server(handler)
    assert.is_table(closer)
    local before = smtp.TIMEOUT
    smtp.TIMEOUT = seconds or before
    local ok, message = mail_to(port, "<one@example.org>")
    smtp.TIMEOUT = before
    return ok, message
  end

  it("is not there: says connection refused", function()
    assert.same({ nil, "connection refused" },
      { mail_to(peers.free_port(), "<one@example.org>") })
  end)

  it("never greets: times out, and nobody else waits", function()
    local ticker <close> = peers.ticker()
    assert.same({ nil, "timeout" }, { send_to(function(conn) conn:receive "a" end, 0.05) })
    assert.is_true(ticker.beats > 0)
  end)

  it("greets with garbage: says so", function()
    assert.same({ nil, "invalid server reply" },
      { send_to(function(conn) conn:send "garbage\r\n" end) })
  end)

  it("closes in the middle of the dialogue: says closed", function()
    assert.same({ nil, "closed" }, { send_to(function(conn)
      conn:send "220 hello\r\n"
      conn:receive()
    end) })
  end)

  it("refuses the recipient: says what it said", function()
    assert.same({ nil, "550 no such user" }, { send_to(function(conn)
      conn:send "220 hello\r\n"
      for line in conn:lines() do
        conn:send(line:upper():find "^RCPT" and "550 no such user\r\n" or "250 fine\r\n")
      end
    end) })
  end)
end)
