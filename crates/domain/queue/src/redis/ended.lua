-- Purpose: what every end of an attempt or of a task has in common.
-- Laws: Q-L2, Q-L3, Q-L8, Q-L14, Q-L18, Q-L19, Q-L21.
-- KEYS: as in keys.lua.
-- ARGV: 2 retention in milliseconds.
-- Returns: nothing; it defines functions.
-- Bound: two commands for each bucket, and one for each index.

-- Ended tasks leave the queue; what remains is a final record in the bucket of their id.
local function store_finals(finals, ended, counts)
  local holds = #ended > 0 and redis.call('EXISTS', CRASH, ORDERS, UNIQUE) > 0
  announce_finals(finals)
  for bucket, bundle in pairs(finals) do
    if holds then let_go_ended(bundle) end
    many('HSET', KEYS[DONE + bucket], keep(bucket, bundle))
    redis.call('PEXPIRE', KEYS[DONE + bucket], string.format('%d', RETENTION + 1))
  end
  if #ended == 0 then return end
  many('HDEL', TASKS, ended)
  if holds then
    many('HDEL', CRASH, ended)
    many('HDEL', ORDERS, ended)
  end
  if counts.c and counts.c > 0 then redis.call('HINCRBY', META, 'completed', counts.c) end
  if counts.x and counts.x > 0 then redis.call('HINCRBY', META, 'cancelled', counts.x) end
  if counts.d and counts.d > 0 then redis.call('HINCRBY', META, 'purged', counts.d) end
end

-- Tasks that leave the hands of a worker: whatever follows from having no lease, follows here.
local function unlease(ids)
  leave_tenants(ids)
  many('ZREM', LEASE, ids)
  many('HDEL', OWN, ids)
end

-- Tasks that go to the dead letters; the record of each has its reason.
local function bury(ids)
  local rows = {}
  for _, id in ipairs(ids) do rows[#rows + 1], rows[#rows + 2] = now, id end
  many('ZADD', DEAD, rows)
  if #ids > 0 and redis.call('EXISTS', UNIQUE) == 1 then let_go(ids, redis.call('HMGET', TASKS, unpack(ids))) end
  announce(ids, 'd')
end
