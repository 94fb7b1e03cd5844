-- Purpose: a page of schedules, by name.
-- Laws: S-L5.
-- KEYS: as in lib.lua.
-- ARGV: 2 where the page begins, as ZRANGEBYLEX says it; 3 most schedules.
-- Returns: name and record of each.
-- Bound: 256 schedules.
local names = redis.call('ZRANGEBYLEX', NAMES, ARGV[2], '+', 'LIMIT', 0, ARGV[3])
local found = {}
if #names > 0 then
  local texts = redis.call('HMGET', SCHEDULES, unpack(names))
  for i, name in ipairs(names) do
    if texts[i] then found[#found + 1], found[#found + 2] = name, texts[i] end
  end
end
return found
