-- Purpose: remembers a task that somebody asked for.
-- Laws: S-L3: neither slot nor revision change.
-- KEYS: as in lib.lua.
-- ARGV: 2 name, 3 the run.
-- Returns: nothing.
-- Bound: one schedule.
local it = read(ARGV[2])
if it then
  it.extra = ARGV[3]
  store(ARGV[2], it)
end
