-- Purpose: replaces the limits of the queue.
-- Laws: Q-L25 to Q-L28.
-- KEYS: as in lib.lua.
-- ARGV: 3 the policy as policy.rs writes it, or nothing for none.
-- Returns: nothing.
-- Bound: four commands.
must_write()
if ARGV[3] == '' then redis.call('HDEL', META, 'policy') else redis.call('HSET', META, 'policy', ARGV[3]) end
-- There may be more to hand out now.
wake()
