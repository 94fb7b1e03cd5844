-- Purpose: delayed tasks that are due go to the tail of their level.
-- Laws: Q-L5, Q-L7.
-- KEYS, ARGV: as in keys.lua and lib.lua.
-- Returns: when the next one is due, or nil.
-- Bound: 64 tasks, seven commands; one when nothing is due.
local function promote()
  local head = redis.call('ZRANGE', DELAYED, 0, 0, 'WITHSCORES')
  if not head[2] or tonumber(head[2]) > now then return tonumber(head[2]) end
  local due = redis.call('ZRANGEBYSCORE', DELAYED, '-inf', now, 'LIMIT', 0, 64)
  local records = redis.call('HMGET', TASKS, unpack(due))
  many('ZREM', DELAYED, due)
  to_tails(due, records)
  head = redis.call('ZRANGE', DELAYED, 0, 0, 'WITHSCORES')
  return tonumber(head[2])
end
