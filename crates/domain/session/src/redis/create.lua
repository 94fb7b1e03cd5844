-- Creates a session within the limit of its user.
-- Laws: S-L1 as it was, S-L2 lifetimes, S-L9 limit, S-L11 repeatable.
-- KEYS 1 the record, 2 the index of the user
-- ARGV 1 session id, 2 hash of the secret, 3 user, 4 idle ms, 5 absolute ms, 6 context, 7 device, 8 the most sessions or 0,
--   9 what goes then: oldest or new
-- Returns { full } or { word, version, user, created, seen, idle, absolute, context, device, salt }
-- Bound: 256 sessions of the user are looked at, and 256 expired ones are forgotten.
local max = tonumber(ARGV[8])
local word = judge()
if word == 'active' then return answer(word) end
-- An id that is taken; nobody has made it twice.
if redis.call('EXISTS', KEYS[1]) == 1 then return redis.error_reply('TAKEN the session id is in use') end

local expired = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', int(now), 'LIMIT', 0, 256)
if #expired > 0 then redis.call('ZREM', KEYS[2], unpack(expired)) end
local living = redis.call('ZCOUNT', KEYS[2], '(' .. int(now), '+inf')
if max > 0 and living >= max and ARGV[9] == 'new' then return { 'full' } end

-- First what a server without memory refuses, so that nothing is ended for a session that is not there.
local absolute = int(now + tonumber(ARGV[5]))
session = { version = '1', user = ARGV[3], created = int(now), idle = ARGV[4], absolute = absolute, context = ARGV[6],
  device = ARGV[7] }
redis.call('HSET', KEYS[1], 'hash', secret, 'user', session.user, 'version', session.version, 'created', session.created,
  'idle', session.idle, 'absolute', absolute, 'context', session.context, 'device', session.device)
if max > 0 and living >= max then
  -- Ids sort by the time they were made. A session that is not in the index is over: its record dies of age.
  local ids = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. int(now), '+inf', 'LIMIT', 0, 256)
  table.sort(ids)
  for n = 1, math.min(living - max + 1, #ids) do redis.call('ZREM', KEYS[2], ids[n]) end
end
redis.call('ZADD', KEYS[2], absolute, id)
touch()
return answer('active')
