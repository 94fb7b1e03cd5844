-- Cluster only, after the index has changed: writes or removes the state of a scope, and tells it.
-- Laws: A-L5 told. A change that is older than the state is not projected, so that two of them may cross.
-- KEYS 1 the state of the scope
-- ARGV 1 the state as JSON, or '' to remove it, 2 the revision, 3 when it ends in ms or 0, 4 the channel, 5 the message
-- Returns receivers.
-- Bound: constant work.
local state_key = KEYS[1]
local state, revision, expires_ms, channel, message = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]

local ok, stored = pcall(cjson.decode, redis.pcall('GET', state_key) or '')
local known = ok and type(stored) == 'table' and tonumber(stored.revision) or 0
if known <= revision then
  if state == '' then
    redis.call('DEL', state_key)
  else
    redis.call('SET', state_key, state)
    if expires_ms ~= '0' then redis.call('PEXPIREAT', state_key, expires_ms) end
  end
end
return redis.call('PUBLISH', channel, message)
