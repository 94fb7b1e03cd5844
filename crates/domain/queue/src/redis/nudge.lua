-- Purpose: wakes one worker that waits for tasks.
-- Laws: Q-L15.
-- KEYS: 1 the list of the worker's own token, 2 the list of normal priority.
-- ARGV: 1 milliseconds after which nobody will look for the token any more, 2 '1' when it is not worth it unless something
--       stands in the list.
-- Returns: nothing.
-- Bound: four commands.
if ARGV[2] == '1' and redis.call('LLEN', KEYS[2]) == 0 then return end
if redis.call('LLEN', KEYS[1]) == 0 then redis.call('LPUSH', KEYS[1], '1') end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
