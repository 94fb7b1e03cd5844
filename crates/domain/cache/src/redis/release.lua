-- Gives a lease back without a fill, and tells of it.
-- Laws: C-L5 one lease, C-L8 throttle, C-L9 told.
-- KEYS 1 the value, 2 its record, 3 its lease
-- ARGV 1 the writer, 2 time in ms in which nobody may have it, 0 for none, 3 channel, 4 the message,
--      5 the message that nothing happened
-- Returns 1 when the writer had it, else 0
-- Bound: O(1).
if redis.call('GET', KEYS[3]) ~= ARGV[1] then
  redis.call('PUBLISH', ARGV[3], ARGV[5])
  return 0
end
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[3])
else
  redis.call('SET', KEYS[3], '!', 'PX', ARGV[2])
end
redis.call('PUBLISH', ARGV[3], ARGV[4])
return 1
