-- Tells the version of a tag, or gives it a new one.
-- Laws: C-L9 told, C-L10 tags.
-- KEYS 1 the tag
-- ARGV 1 keep or renew, 2 time to live in ms; to renew: 3 channel, 4 and 5 the message around the version
-- Returns the version
-- Bound: O(1).
local known = redis.call('GET', KEYS[1])
if known and ARGV[1] == 'keep' then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return known
end
local version = version_after(known, server_time())
redis.call('SET', KEYS[1], version, 'PX', ARGV[2])
if ARGV[1] == 'renew' then
  redis.call('PUBLISH', ARGV[3], ARGV[4] .. version .. ARGV[5])
end
return version
