-- Gives one subject a limit of its own, or takes it away.
-- Laws: R-L10 overrides.
-- KEYS 1 the overrides: a hash of limits by target, and under the empty name the version
-- ARGV 1 target, 2 limit, or empty, 3 how many there may be
-- Returns 1, or 0 when there are as many
-- Bound: O(1).
if ARGV[2] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  if redis.call('HLEN', KEYS[1]) > tonumber(ARGV[3]) and redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
end
redis.call('HINCRBY', KEYS[1], '', 1)
return 1
