-- Purpose: ended tasks leave the queue; what remains is a final record in the bucket of their id.
-- Laws: Q-L2, Q-L14.
-- KEYS: as in lib.lua.
-- ARGV: 2 retention in milliseconds.
-- Returns: nothing; it defines a function.
-- Bound: two commands for each bucket, and one for each index.
local function store_finals(finals, ended, counts)
  for bucket, bundle in pairs(finals) do
    many('HSET', KEYS[15 + bucket], bundle)
    redis.call('PEXPIRE', KEYS[15 + bucket], string.format('%.0f', RETENTION + 1))
  end
  if #ended == 0 then return end
  many('HDEL', TASKS, ended)
  if redis.call('EXISTS', CRASH, ORDERS) > 0 then
    many('HDEL', CRASH, ended)
    many('HDEL', ORDERS, ended)
  end
  if counts.c and counts.c > 0 then redis.call('HINCRBY', META, 'completed', counts.c) end
  if counts.x and counts.x > 0 then redis.call('HINCRBY', META, 'cancelled', counts.x) end
  if counts.d and counts.d > 0 then redis.call('HINCRBY', META, 'purged', counts.d) end
end
