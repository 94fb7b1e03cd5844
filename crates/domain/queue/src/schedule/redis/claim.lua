-- Purpose: hands out schedules that are due, and holds them.
-- Laws: S-L2, S-L3, S-L4.
-- KEYS: as in lib.lua.
-- ARGV: 2 most schedules, 3 how long they are held.
-- Returns: now, when the next one is due (nil when none is), and name and record of each.
-- Bound: 256 schedules.
local claimed = {}
for _, name in ipairs(redis.call('ZRANGEBYSCORE', DUE, '-inf', now, 'LIMIT', 0, ARGV[2])) do
  local it = read(name)
  if it then
    claimed[#claimed + 1], claimed[#claimed + 2] = name, write(name, it)
    redis.call('ZADD', DUE, now + ARGV[3], name)
  elseif redis.call('HEXISTS', SCHEDULES, name) == 1 then
    redis.call('ZADD', DUE, now + ARGV[3], name)
  else
    redis.call('ZREM', DUE, name)
  end
end
local next = redis.call('ZRANGE', DUE, 0, 0, 'WITHSCORES')[2]
return { text_of(now), next and text_of(tonumber(next)) or false, claimed }
