-- SPDX-License-Identifier: MIT
--
-- What streams can receive beside LuaSocket's patterns: whatever is there, up to a delimiter, a
-- look ahead, lines in a loop; and the limit on how much a peer may make us hold.

local net = require "spec.support.net"
local task = require "lariat.task"

local SCALE = tonumber(os.getenv "SCALE") or 1

describe("a stream", function()
  local near, far

  before_each(function() near, far = net.pair() end)
  after_each(function()
    near:close()
    far:close()
  end)

  local function given(...)
    for _, bytes in ipairs { ... } do assert(far:send(bytes)) end
    far:shutdown "send"
  end

  -- Sends each piece after `near`, in another task, has had turns to see the one before.
  local function in_pieces(pieces, receive, ...)
    local receiving = task.spawn(receive, near, ...)
    for _, piece in ipairs(pieces) do
      far:send(piece)
      far:flush()
      for _ = 1, 3 do task.yield() end
    end
    return receiving:join()
  end

  describe("receiveany", function()
    it("returns what is there, at most what was asked for", function()
      given "123456789"
      assert.equal("1234", near:receiveany(4))
      assert.equal("56789", near:receiveany())
      assert.same({ nil, "closed", "" }, { near:receiveany() })
    end)

    it("waits for the first byte only", function()
      local receiving = task.spawn(near.receiveany, near, 100)
      task.yield()
      assert.equal("waiting", receiving:status())
      far:send "x"
      assert.equal("x", receiving:join())
    end)

    it("times out empty-handed and loses nothing", function()
      near:settimeout(0)
      assert.same({ nil, "timeout", "" }, { near:receiveany() })
      far:send "later"
      assert.equal("later", near:receiveany())
    end)

    it("of no bytes at all is a mistake", function()
      assert.error_matches(function() near:receiveany(0) end, "bad argument #1 to 'receiveany'")
    end)
  end)

  describe("receiveuntil", function()
    it("returns what is before the delimiter, or with it", function()
      given "one, two, three, four"
      assert.equal("one", near:receiveuntil ", ")
      assert.equal("two, ", near:receiveuntil(", ", { inclusive = true }))
      assert.equal("three", near:receiveuntil(", ", {}))
      assert.same({ nil, "closed", "four" }, { near:receiveuntil ", " })
    end)

    it("finds a delimiter that arrives in pieces", function()
      assert.equal("head\r", in_pieces({ "head\r", "\r\n", "\r", "\nbody" },
        near.receiveuntil, "\r\n\r\n"))
      assert.equal("body", near:receive(4))
    end)

    it("is not fooled by a false start of the delimiter", function()
      assert.equal("aab", in_pieces({ "aabaa", "ba", "ac" }, near.receiveuntil, "aabaac"))
      given "xxy"
      assert.equal("x", near:receiveuntil "xy")
    end)

    it("with a limit refuses what is longer and gives it piece by piece", function()
      given "12345678;9;"
      assert.same({ nil, "too long", "12345" }, { near:receiveuntil(";", { max = 5 }) })
      assert.equal("678", near:receiveuntil(";", { max = 5 }))
      assert.equal("9", near:receiveuntil(";", { max = 1 }))
    end)

    it("with a limit says the same however the bytes are cut", function()
      local text = "hello\r\n\r\n"
      for cut = 1, #text - 1 do
        local pieces = { text:sub(1, cut), text:sub(cut + 1) }
        assert.equal("hello", in_pieces(pieces, near.receiveuntil, "\r\n\r\n", { max = 5 }))
        assert.equal(text, in_pieces(pieces, near.receiveuntil, "\r\n\r\n",
          { max = 9, inclusive = true }))
        local _, message, partial = in_pieces(pieces, near.receiveuntil, "\r\n\r\n", { max = 4 })
        assert.same({ "too long", "hell" }, { message, partial })
        assert.equal("o\r\n\r\n", near:receive(5))
      end
    end)

    it("with arguments that make no sense names them", function()
      assert.error_matches(function() near:receiveuntil() end, "bad argument #1")
      assert.error_matches(function() near:receiveuntil "" end, "bad argument #1")
      assert.error_matches(function() near:receiveuntil(";", 5) end, "bad argument #2")
      assert.error_matches(function() near:receiveuntil(";", { max = 0 }) end, "bad argument #2")
      assert.error_matches(function() near:receiveuntil(";", { maxx = 1 }) end,
        "no such option .maxx.: did you mean .max.?")
      assert.error_matches(function() near:receiveuntil(";", { max = {} }) end, "max")
    end)
  end)

  describe("peek", function()
    it("shows what comes next and takes nothing", function()
      far:send "abcdef"
      assert.equal("abc", near:peek(3))
      assert.equal("abcdef", near:peek(6))
      assert.equal("abcdef", near:receive(6))
    end)

    it("waits for as much as was asked, and shows less at the end", function()
      local peeking = task.spawn(near.peek, near, 4)
      task.yield()
      far:send "ab"
      far:flush()
      task.yield()
      assert.equal("waiting", peeking:status())
      given "c"
      assert.equal("abc", peeking:join())
      assert.equal("abc", near:receive "*a")
      assert.same({ nil, "closed" }, { near:peek(1) })
    end)

    it("times out and leaves what there is", function()
      far:send "ab"
      near:settimeout(0.01)
      assert.same({ nil, "timeout" }, { near:peek(3) })
      assert.equal("ab", near:receive(2))
    end)

    it("shows more than it waits for, up to a maximum, if that has come", function()
      given "abcdefgh"
      assert.equal("abcd", near:peek(1, 4))
      assert.equal("abcdefgh", near:peek(2, 100))
    end)

    it("goes on behind what has been seen", function()
      far:send "abcdef"
      assert.equal("def", near:peek(3, 3, 3))
      local peeking = task.spawn(near.peek, near, 2, 9, 6)
      task.yield()
      assert.equal("waiting", peeking:status())
      given "ghi"
      assert.equal("ghi", peeking:join())
      assert.equal("i", near:peek(5, 5, 8))
      assert.same({ nil, "closed" }, { near:peek(1, 1, 9) })
      assert.equal("abcdefghi", near:receive "*a")
    end)

    it("says how much has been taken so far, whatever setstats says", function()
      given "abcdef"
      assert.same({ "ab", 0 }, { near:peek(2) })
      near:receive(2)
      near:setstats(1000)
      assert.same({ "cd", 2 }, { near:peek(2) })
    end)

    it("of numbers that make no sense is a mistake", function()
      for _, arguments in ipairs { { 0 }, { 2, 1 }, { 1, 1, -1 }, { 1, math.maxinteger } } do
        assert.error_matches(function() near:peek(table.unpack(arguments)) end,
          "bad argument #%d to 'peek'")
      end
    end)
  end)

  describe("skip", function()
    it("takes what has come, and nothing that has not", function()
      given "abcdef"
      near:peek(6)
      assert.is_true(near:skip(2))
      assert.is_false(near:skip(5))
      assert.is_true(near:skip(0))
      assert.equal("cdef", near:receive "*a")
      assert.equal(6, (near:getstats()))
    end)

    it("takes nothing if somebody has taken something since the peek", function()
      given "abcdef"
      local _, taken = near:peek(6)
      assert.is_true(near:skip(1, taken))
      assert.is_false(near:skip(1, taken))
      assert.equal("bcdef", near:receive "*a")
    end)

    it("takes nothing while another task is receiving", function()
      local receiving = task.spawn(near.receive, near, 4)
      task.yield()
      assert.is_false(near:skip(0))
      given "abcd"
      assert.equal("abcd", receiving:join())
      assert.is_true(near:skip(0))
    end)

    it("of a closed stream takes nothing", function()
      near:close()
      assert.is_false(near:skip(0))
      assert.error_matches(function() near:skip(-1) end, "bad argument #1 to 'skip'")
    end)
  end)

  describe("lines", function()
    local function collect(...)
      local found = {}
      for line in near:lines(...) do found[#found + 1] = line end
      return found
    end

    it("are iterated, a last one without an end included", function()
      given "one\r\ntwo\n\nlast"
      assert.same({ "one", "two", "", "last" }, collect())
    end)

    it("keep their ends if asked to", function()
      given "one\r\ntwo\nlast"
      assert.same({ "one\r\n", "two\n", "last" }, collect "L")
    end)

    it("may be blocks of a size", function()
      given "aabbc"
      assert.same({ "aa", "bb", "c" }, collect(2))
    end)

    it("of a stream that ends at once are none", function()
      given ""
      assert.same({}, collect())
    end)

    it("take no notice of what their iterator is called with", function()
      given "one\ntw"
      local next_line = near:lines()
      assert.equal("one", next_line("a", "b", "prefix"))
      assert.equal("tw", next_line("a", "b", "prefix"))
      assert.is_nil(next_line "a")
    end)

    it("outlive the last reference to their stream", function()
      local next_line
      do
        local stream, peer <close> = net.pair()
        peer:send "one\ntwo\n"
        next_line = stream:lines()
      end
      assert.equal("one", next_line())
      collectgarbage()
      collectgarbage()
      assert.equal("two", next_line())
    end)

    it("raise a timeout, and what had come is there afterwards", function()
      far:send "one\ntw"
      near:settimeout(0.01)
      local found = {}
      assert.error_matches(function()
        for line in near:lines() do found[#found + 1] = line end
      end, "timeout")
      assert.same({ "one" }, found)
      far:send "o\n"
      assert.equal("two", near:receive())
    end)

    it("of a socket that is closed raise it, closed before the wait or in it", function()
      for _, when in ipairs { "before", "in the wait", "between" } do
        local a, b = net.pair()
        b:send "one\ntw"
        b:flush()
        local found = {}
        if when == "before" then a:close() end
        local reading = task.spawn(function()
          local ok, message = pcall(function()
            for line in a:lines() do
              found[#found + 1] = line
              if when == "between" then a:close() end
            end
          end)
          return ok, message
        end)
        task.yield()
        task.yield()
        a:close()
        local ok, message = reading:join()
        assert.is_false(ok, when)
        assert.matches("closed$", message)
        assert.same(when == "before" and {} or { "one" }, found)
        b:close()
      end
    end)

    it("that are too long raise it", function()
      near:setoption("maxreceive", 3)
      given "one\nthree\n"
      assert.error_matches(function() collect() end, "too long")
    end)

    it("with a pattern that makes no sense are a mistake at once", function()
      assert.error_matches(function() near:lines "x" end, "bad argument #1 to 'lines'")
      assert.error_matches(function() near:lines(1.5) end, "bad argument #1 to 'lines'")
      assert.error_matches(function() near:lines(0) end, "positive number of bytes expected")
    end)
  end)

  describe("with maxreceive", function()
    it("refuses longer lines and stays usable", function()
      near:setoption("maxreceive", 5)
      assert.equal(5, near:getoption "maxreceive")
      given "12345\n1234567\n12345\r\n123456789"
      assert.equal("12345", near:receive())
      assert.same({ nil, "too long", "12345" }, { near:receive() })
      assert.equal("67", near:receive())
      assert.equal("12345", near:receive())
      assert.same({ nil, "too long", "12345" }, { near:receive "*a" })
      assert.equal("6789", near:receive "*a")
    end)

    it("says the same of a line however its bytes are cut", function()
      near:setoption("maxreceive", 5)
      local text = "hello\r\n"
      for cut = 1, #text - 1 do
        local pieces = { text:sub(1, cut), text:sub(cut + 1) }
        assert.equal("hello", in_pieces(pieces, near.receive))
      end
      local _, message, partial = in_pieces({ "hello!" }, near.receive)
      assert.same({ "too long", "hello" }, { message, partial })
      _, message, partial = in_pieces({ "hello" }, near.receive)
      assert.same({ "too long", "!hell" }, { message, partial })
    end)

    it("at the end of the stream says too long while bytes are unread, then closed", function()
      for text, options in pairs {
        ["12345;;"] = { delimiter = ";;;", rest = ";;" },
        ["12345\r"] = { rest = "" }, -- a line drops its CR
        ["1234567"] = { delimiter = "89", rest = "67" },
      } do
        local a, b = net.pair()
        a:setoption("maxreceive", 5)
        b:send(text)
        b:shutdown "send"
        local function receive()
          if options.delimiter then return a:receiveuntil(options.delimiter) end
          return a:receive()
        end
        assert.same({ nil, "too long", "12345" }, { receive() }, text)
        assert.same({ nil, "closed", options.rest }, { receive() }, text)
        assert.same({ nil, "closed", "" }, { receive() }, text)
        a:close()
        b:close()
      end
    end)

    it("given as an option of one call says the same at the end of the stream", function()
      far:send "12345;;"
      far:shutdown "send"
      assert.same({ nil, "too long", "12345" }, { near:receiveuntil(";;;", { max = 5 }) })
      assert.same({ nil, "closed", ";;" }, { near:receiveuntil(";;;", { max = 5 }) })
    end)

    it("after a reset says too long while bytes are unread", function()
      near:setoption("maxreceive", 5)
      far:send "12345;;"
      far:flush()
      assert.equal("12345;;", near:peek(7))
      far:setoption("linger", { on = true, timeout = 0 })
      far:close()
      assert.same({ nil, "too long", "12345" }, { near:receiveuntil ";;;" })
      assert.same({ nil, "closed", ";;" }, { near:receiveuntil ";;;" })
    end)

    it("does not limit counted receives", function()
      near:setoption("maxreceive", 5)
      given "1234567890"
      assert.equal("1234567890", near:receive(10))
    end)

    it("can be lifted", function()
      near:setoption("maxreceive", 5)
      near:setoption("maxreceive", 0)
      given "1234567890\n"
      assert.equal("1234567890", near:receive())
    end)

    it("holds little of 100 MB without a newline", function()
      near:setoption("maxreceive", 64 * 1024)
      local total = 100 * 1024 * 1024 // SCALE
      local chunk = ("x"):rep(1024 * 1024)
      local sending = task.spawn(function()
        local left = total
        while left > 0 do
          assert(far:send(chunk, 1, math.min(left, #chunk)))
          left = left - #chunk
        end
        far:shutdown "send"
      end)
      local function resident()
        for line in io.lines "/proc/self/status" do
          local kilobytes = line:match "^VmRSS:%s*(%d+)"
          if kilobytes then return tonumber(kilobytes) end
        end
      end
      collectgarbage()
      local before, most, got, pieces = resident(), 0, 0, 0
      while true do
        local line, message, partial = near:receive()
        assert.is_nil(line)
        got = got + #partial
        pieces = pieces + 1
        if pieces % 64 == 0 then most = math.max(most, resident()) end
        if message == "closed" then break end
        assert.equal("too long", message)
        assert.equal(64 * 1024, #partial)
      end
      sending:join()
      assert.is_true(got >= total)
      if SCALE == 1 then -- sanitizers keep what was freed
        assert.is_true(most - before < 20 * 1024, ("%d KB more"):format(most - before))
      end
    end)
  end)
end)
