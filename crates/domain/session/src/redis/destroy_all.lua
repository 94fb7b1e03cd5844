-- Ends every session of a user by forgetting the index without which none lets anybody in; the records die of age.
-- Laws: S-L8 everywhere, S-L11 repeatable.
-- KEYS 1 the index of the user
-- ARGV 1 the session id that stays, or empty
-- Returns 1
-- Bound: O(1); the index is freed in the background.
local index, keep = KEYS[1], ARGV[1]
local ends = keep ~= '' and redis.call('ZSCORE', index, keep)
local left = redis.call('PTTL', index)
redis.call('UNLINK', index)
if ends and left > 0 then
  redis.call('ZADD', index, ends, keep)
  redis.call('PEXPIRE', index, left)
end
return 1
