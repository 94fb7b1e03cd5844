-- Keeps what an agent said last, and tells it.
-- Laws: A-L7 status.
-- KEYS 1 the last status of the user
-- ARGV 1 user id, 2 the status as JSON, 3 time to live in ms, 4 the channel
-- Returns receivers.
-- Bound: constant work.
local user_id, status, ttl, channel = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local members = '"at":"' .. iso(now) .. '","status":' .. status .. '}'
redis.call('SET', KEYS[1], '{' .. members, 'PX', ttl)
return redis.call('PUBLISH', channel, '{"event":"status","user_id":' .. text(user_id) .. ',' .. members)
