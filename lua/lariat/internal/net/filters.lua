-- SPDX-License-Identifier: MIT
--
-- LuaSocket's sinks and sources: functions that write chunks to a socket, or read chunks from one,
-- as ltn12 pumps them. They work on any object with the method they call: a TLS connection is a
-- table.

local usage = require "lariat.internal.usage"

local filters = {}

local function check_stream(sock, name, method)
  local indexable = type(sock) == "table" or type(sock) == "userdata"
  if not (indexable and sock[method]) then
    usage.error("bad argument to '%s' (socket with a method '%s' expected, got %s)", name, method,
      usage.kind(sock))
  end
end

-- Sends a chunk: a string, a number, or a list of them as send takes it.
local function sender(sock)
  check_stream(sock, "sink", "send")
  return function(chunk)
    local kind = type(chunk)
    if kind ~= "string" and kind ~= "number" and kind ~= "table" then
      usage.type(1, "sink", "string", chunk)
    end
    return sock:send(chunk)
  end
end

local function filter_of(sock, methods)
  methods.getfd = function() return sock:getfd() end
  methods.dirty = function() return sock:dirty() end
  return methods
end

local sinkt = {
  ["close-when-done"] = function(sock)
    local send = sender(sock)
    return setmetatable(filter_of(sock, {}), {
      __call = function(_, chunk, message)
        if chunk then return send(chunk) end
        sock:close()
        if message then return nil, message end
        return 1
      end,
    })
  end,
  ["keep-open"] = function(sock)
    local send = sender(sock)
    return setmetatable(filter_of(sock, {}), {
      __call = function(_, chunk)
        if chunk then return send(chunk) end
        return 1
      end,
    })
  end,
}
sinkt["default"] = sinkt["keep-open"]

-- `socket` is the module: its BLOCKSIZE may be changed by a script at any time.
local function sources(socket)
  return {
    ["by-length"] = function(sock, length)
      check_stream(sock, "source", "receive")
      if type(length) ~= "number" then usage.type(3, "source", "number", length) end
      if length ~= math.huge and length % 1 ~= 0 then
        usage.argument(3, "source", "number of bytes expected, got %s", tostring(length))
      end
      return setmetatable(filter_of(sock, {}), {
        __call = function()
          if length <= 0 then return nil end
          local chunk, message = sock:receive(math.min(socket.BLOCKSIZE, length))
          if message then return nil, message end
          length = length - #chunk
          return chunk
        end,
      })
    end,
    ["until-closed"] = function(sock)
      check_stream(sock, "source", "receive")
      local done
      return setmetatable(filter_of(sock, {}), {
        __call = function()
          if done then return nil end
          local chunk, message, partial = sock:receive(socket.BLOCKSIZE)
          if not message then return chunk end
          if message ~= "closed" then return nil, message end
          sock:close()
          done = true
          return partial
        end,
      })
    end,
  }
end

--- Adds `sinkt`, `sink`, `sourcet` and `source` to the module `socket`, which has `choose` already.
---@param socket table
function filters.add(socket)
  socket.sinkt = sinkt
  socket.sink = socket.choose(socket.sinkt)
  socket.sourcet = sources(socket)
  socket.sourcet["default"] = socket.sourcet["until-closed"]
  socket.source = socket.choose(socket.sourcet)
end

return filters
