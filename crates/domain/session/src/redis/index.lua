-- Which sessions of a user live, the one that ends last first; and forgets those that are over.
-- Laws: S-L10 list.
-- KEYS 1 the index of the user
-- ARGV none
-- Returns session ids
-- Bound: 256 sessions are listed, and 256 expired ones are forgotten.
local index = KEYS[1]
local time = redis.call('TIME')
local now = string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
local expired = redis.call('ZRANGEBYSCORE', index, '-inf', now, 'LIMIT', 0, 256)
if #expired > 0 then redis.call('ZREM', index, unpack(expired)) end
return redis.call('ZREVRANGEBYSCORE', index, '+inf', '(' .. now, 'LIMIT', 0, 256)
