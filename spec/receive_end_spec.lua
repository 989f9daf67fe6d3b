-- SPDX-License-Identifier: MIT
--
-- What a receiver sees of the end of a stream: closed, half closed or reset, by the peer or here.

local net = require "spec.support.net"
local socket = require "socket"
local task = require "lariat.task"

describe("the end of a stream", function()
  it("in the middle of a line gives the part that came", function()
    local port, server <close> = net.server(function(conn) conn:send "whole\nbroken of" end)
    local client <close> = assert(socket.connect("127.0.0.1", port))
    assert.equal("whole", client:receive())
    assert.same({ nil, "closed", "broken of" }, { client:receive() })
    assert.is_table(server)
  end)

  it("of one side leaves the other side open", function()
    local near, far = net.pair()
    far:send "question\n"
    far:shutdown "send"
    assert.equal("question", near:receive())
    assert.same({ nil, "closed", "" }, { near:receive() })
    assert.equal(7, near:send "answer\n")
    assert.equal("answer", far:receive())
    near:close()
    assert.same({ nil, "closed", "" }, { far:receive() })
    far:close()
  end)

  it("by reset is closed, too, after what had arrived", function()
    local near, far = net.pair()
    far:send "last words"
    far:flush()
    assert.equal("last", near:receive(4))
    far:setoption("linger", { on = true, timeout = 0 })
    far:close()
    local data, message, partial = near:receive "*l"
    assert.is_nil(data)
    assert.equal("closed", message)
    assert.equal(" words", partial)
    assert.same({ nil, "closed", "" }, { near:receive "*a" })
    near:close()
  end)

  it("by closing here wakes the task that receives, with the part that came", function()
    local near, far = net.pair()
    far:send "half a li"
    far:flush()
    local receiving = task.spawn(near.receive, near)
    task.yield()
    near:close()
    local line, message = receiving:join()
    assert.same({ nil, "closed" }, { line, message })
    assert.same({ nil, "closed", "" }, { near:receive() })
    far:close()
  end)

  it("by shutting down the receiving side here wakes it as well", function()
    local near, far = net.pair()
    local receiving = task.spawn(near.receive, near)
    task.yield()
    assert.equal(1, near:shutdown "receive")
    assert.same({ nil, "closed", "" }, { receiving:join() })
    assert.equal(3, near:send "hi\n")
    assert.equal("hi", far:receive())
    near:close()
    far:close()
  end)
end)
