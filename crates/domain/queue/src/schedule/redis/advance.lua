-- Purpose: gives a schedule its next slot, and what there is to remember of the last one.
-- Laws: S-L3.
-- KEYS: as in lib.lua.
-- ARGV: 2 name, 3 revision, 4 slot, 5 when somebody has to look at it, 6 log.
-- Returns: 1 when the revision was right.
-- Bound: one schedule.
local name = ARGV[2]
local it = read(name)
if not it or it.revision ~= ARGV[3] then return 0 end
it.slot, it.log = ARGV[4], ARGV[6]
write(name, it)
redis.call('ZADD', DUE, ARGV[5], name)
return 1
