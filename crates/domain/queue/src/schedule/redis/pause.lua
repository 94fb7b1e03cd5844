-- Purpose: lets a schedule rest.
-- Laws: S-L2, S-L3.
-- KEYS: as in lib.lua.
-- ARGV: 2 name.
-- Returns: 1 when there is one.
-- Bound: one schedule.
local name = ARGV[2]
-- Removing comes first, so that this works although the memory is full.
redis.call('ZREM', DUE, name)
local it = read(name)
if not it then return 0 end
it.state, it.updated = 'p', text_of(now)
write(name, it)
return 1
