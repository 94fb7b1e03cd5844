-- Purpose: removes a schedule.
-- Laws: S-L5.
-- KEYS: as in lib.lua.
-- ARGV: 2 name.
-- Returns: 1 when there was one.
-- Bound: three commands.
redis.call('ZREM', DUE, ARGV[2])
redis.call('ZREM', NAMES, ARGV[2])
return redis.call('HDEL', SCHEDULES, ARGV[2])
