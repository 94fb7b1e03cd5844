-- Purpose: the dead letters that are kept no longer, oldest first: too old, or more than are kept.
-- Laws: Q-L32.
-- KEYS: as in keys.lua.
-- ARGV: 3 how long one is kept in milliseconds, 4 how many are kept, 5 how many are answered at most.
-- Returns: id and time of death of each.
-- Bound: 256 letters.
local surplus = redis.call('ZCARD', DEAD) - ARGV[4]
local page = redis.call('ZRANGE', DEAD, 0, ARGV[5] - 1, 'WITHSCORES')
local rows = {}
for i = 1, #page, 2 do
  local died = tonumber(page[i + 1])
  if i / 2 > surplus and died > now - ARGV[3] then break end
  rows[#rows + 1], rows[#rows + 2] = page[i], died
end
return rows
