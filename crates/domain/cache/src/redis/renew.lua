-- Prolongs a lease for the one who has it.
-- Laws: C-L14 renewed.
-- KEYS 1 the value, 2 its record, 3 its lease
-- ARGV 1 the writer, 2 time of the lease in ms
-- Returns 1 when the writer has it, else 0
-- Bound: O(1).
if redis.call('GET', KEYS[3]) ~= ARGV[1] then
  return 0
end
return redis.call('PEXPIRE', KEYS[3], ARGV[2])
