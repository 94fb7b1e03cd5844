-- Purpose: wakes one worker that waits for tasks.
-- Laws: Q-L15.
-- KEYS: 1 the list of the worker's own token.
-- ARGV: 1 milliseconds after which nobody will look for it any more.
-- Returns: nothing.
-- Bound: three commands.
if redis.call('LLEN', KEYS[1]) == 0 then redis.call('LPUSH', KEYS[1], '1') end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
