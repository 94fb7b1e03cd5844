-- Purpose: stops or restarts handing out tasks.
-- Laws: Q-L13, Q-L15.
-- KEYS: as in keys.lua.
-- ARGV: 3 '1' to pause, '0' to resume.
-- Returns: nothing.
-- Bound: three commands.
must_write()
if ARGV[3] == '1' then
  redis.call('HSET', META, 'paused', '1')
else
  redis.call('HDEL', META, 'paused')
  wake()
end
