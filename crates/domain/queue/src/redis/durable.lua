-- Purpose: makes a script write something in any case, so that whoever waits for its write waits for all before it.
-- Laws: Q-L20: a repetition adds nothing, and yet must not be called durable before the first time is.
-- KEYS: as in keys.lua.
-- ARGV: nothing of its own.
-- Returns: nothing; the script that follows does.
-- Bound: one HSET.
check_list()
redis.call('HSET', META, 'durable', string.format('%d', now))
