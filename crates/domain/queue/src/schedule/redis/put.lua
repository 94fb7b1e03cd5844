-- Purpose: writes a schedule, new or in place of the one of that name.
-- Laws: S-L1, S-L3.
-- KEYS: as in lib.lua.
-- ARGV: 2 name, 3 timing, 4 slot, 5 when somebody has to look at it, 6 state ('' as it is), 7 definition and payload.
-- Returns: the record.
-- Bound: one schedule.
local name, timing = ARGV[2], ARGV[3]
local known = read(name)
local it = known or { created = text_of(now), log = '', extra = '', state = 'r' }
local stays = known and known.timing == timing and known.state == 'r' and redis.call('ZSCORE', DUE, name)
it.state = ARGV[6] ~= '' and ARGV[6] or it.state
it.timing, it.rest, it.updated = timing, ARGV[7], text_of(now)
if not stays or not it.slot then it.slot = ARGV[4] end
local text = write(name, it)
redis.call('ZADD', NAMES, 0, name)
if it.state == 'p' then
  redis.call('ZREM', DUE, name)
elseif not stays then
  redis.call('ZADD', DUE, ARGV[5], name)
end
return text
