-- Purpose: confirms that people were told of a change, unless the alert has changed again.
-- Laws: A-L2.
-- KEYS: 1 the hash of alerts.
-- ARGV: 1 field, 2 when it changed.
-- Returns: 1 when it was noted, else 0.
-- Bound: one field.
local known = redis.call('HGET', KEYS[1], ARGV[1]) or ''
local front, changed, claimed, rest = string.match(known, '^(%l %d+) (%d+) (%d+) %d (.*)$')
if changed ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], front .. ' ' .. changed .. ' ' .. claimed .. ' 1 ' .. rest)
return 1
