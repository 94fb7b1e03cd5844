-- Purpose: what every script of a queue starts with: its keys and the time.
-- Laws: Q-L7 and Q-L9 by the server's clock; what the keys hold is described in keys.rs.
-- KEYS: 1-4 ready lists (critical, high, normal, low), 5 tasks, 6 delayed, 7 lease, 8 own, 9 crash, 10 parked,
--       11 brake, 12 orders, 13 dead, 14 wake, 15 meta, 16 waiting, 17 next, 18 outbox, 19 unique, 20 tenants,
--       21-24 fair and 25-28 turns of the four levels, 29 rates, 30 workers, from 31 on the done buckets of the ids in
--       ARGV, each followed by the hash of those that are kept for a time of their own.
-- ARGV: 1 milliseconds to add to the server's clock (0 outside tests), 2 retention in milliseconds.
-- Returns: nothing; the script that follows does.
-- Bound: one TIME.
local READY = { c = KEYS[1], h = KEYS[2], n = KEYS[3], l = KEYS[4] }
local LEVELS = { 'c', 'h', 'n', 'l' }
local TASKS, DELAYED, LEASE, OWN, CRASH = KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local PARKED, BRAKE, ORDERS, DEAD, WAKE, META = KEYS[10], KEYS[11], KEYS[12], KEYS[13], KEYS[14], KEYS[15]
-- The done bucket at a position of the caller's is KEYS[DONE + position].
local DONE = 30
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
local function check_list() redis.call('LLEN', KEYS[3]) end

-- What is written here may be written although the memory is full: removing comes first, even if nothing is there to
-- remove, and a server lets a script that has begun to write go on.
local function must_write() redis.call('HDEL', META, '') end

-- One token at most: somebody who waits is woken.
local function wake()
  if redis.call('LLEN', WAKE) == 0 then redis.call('LPUSH', WAKE, '1') end
end
