-- Purpose: what every script of a queue starts with, after the names of its keys: the time.
-- Laws: Q-L7 and Q-L9 by the server's clock.
-- KEYS: as in keys.lua, or as in fast/keys.lua.
-- ARGV: 1 milliseconds to add to the server's clock (0 outside tests), 2 retention in milliseconds.
-- Returns: nothing; the script that follows does.
-- Bound: one TIME.
local EVERYONE = '* everyone'
local RETENTION = tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[1]

-- A variadic command, left out when there is nothing to say. Callers stay under 600 arguments.
local function many(command, key, args)
  if #args > 0 then return redis.call(command, key, unpack(args)) end
  return 0
end

-- The plain list may be another program's. Called before anything is written: what fails half-way is not undone.
local function check_list() redis.call('LLEN', READY.n) end

-- What is written here may be written although the memory is full: removing comes first, even if nothing is there to
-- remove, and a server lets a script that has begun to write go on.
local function must_write() redis.call('HDEL', META, '') end

-- One token at most: somebody who waits is woken.
local function wake()
  if redis.call('LLEN', WAKE) == 0 then redis.call('LPUSH', WAKE, '1') end
end
