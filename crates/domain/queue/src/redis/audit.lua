-- Purpose: counts what the queue noted and what stands in its places, at one moment.
-- Laws: Q-L29.
-- KEYS: as in keys.lua.
-- ARGV: as in lib.lua.
-- Returns: created, completed, cancelled, purged, records, listed, active, delayed, waiting, parked, dead.
-- Bound: sixteen counters.
local meta = redis.call('HMGET', META, 'created', 'completed', 'cancelled', 'purged', 'gone_c', 'gone_h', 'gone_n', 'gone_l')
local reply, listed = {}, 0
for i = 1, 4 do
  reply[i] = tonumber(meta[i] or 0)
  listed = listed + math.max(redis.call('LLEN', READY[LEVELS[i]]) - tonumber(meta[4 + i] or 0), 0)
  listed = listed + redis.call('ZCARD', KEYS[20 + i])
end
reply[5], reply[6] = redis.call('HLEN', TASKS), listed
reply[7], reply[8] = redis.call('ZCARD', LEASE), redis.call('ZCARD', DELAYED)
reply[9], reply[10], reply[11] = redis.call('HLEN', KEYS[16]), redis.call('ZCARD', PARKED), redis.call('ZCARD', DEAD)
return reply
