-- Gives a key without a time to live one.
-- KEYS 1 the key
-- ARGV 1 the time to live in ms
-- Returns 1 when it had none, else 0
-- Bound: O(1).
if redis.call('PTTL', KEYS[1]) ~= -1 then
  return 0
end
return redis.call('PEXPIRE', KEYS[1], ARGV[1])
