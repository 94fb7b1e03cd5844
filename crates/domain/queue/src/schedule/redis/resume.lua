-- Purpose: wakes a schedule that rests.
-- Laws: S-L3.
-- KEYS: as in lib.lua.
-- ARGV: 2 name, 3 revision, 4 slot, 5 when somebody has to look at it.
-- Returns: 1 when the revision was right.
-- Bound: one schedule.
local name = ARGV[2]
local it = read(name)
if not it or it.revision ~= ARGV[3] then return 0 end
it.state, it.slot, it.updated = 'r', ARGV[4], text_of(now)
write(name, it)
redis.call('ZADD', DUE, ARGV[5], name)
return 1
