-- Algorithm `concurrent`: a sorted set of reservations by the time their leases end; a part of the scripts about counters.
-- Laws: R-L7 places, R-L6 one settlement.
-- KEYS, ARGV and Returns: as of the script it is a part of.
-- Bound: 256 leases that have ended are forgotten, O(log n) in the places that are held.
local concurrent = {}
meters.c = concurrent

function concurrent.load(c)
  local ended = redis.call('ZRANGEBYSCORE', c.key, '-inf', int(now), 'LIMIT', 0, 256)
  if #ended > 0 and mode ~= 'peek' then redis.call('ZREM', c.key, unpack(ended)) end
  c.held = redis.call('ZCOUNT', c.key, '(' .. int(now), '+inf')
end

local function until_when(c)
  return tonumber(redis.call('ZSCORE', c.key, id) or 0)
end

function concurrent.wait(c)
  if c.held < c.limit or until_when(c) > now then return 0 end
  local first = redis.call('ZRANGEBYSCORE', c.key, '(' .. int(now), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  return first[2] and tonumber(first[2]) - now or -1
end

function concurrent.add(c)
  redis.call('ZADD', c.key, int(now + c.window), id)
  redis.call('PEXPIRE', c.key, int(c.window))
  c.held = redis.call('ZCOUNT', c.key, '(' .. int(now), '+inf')
  return 0
end

-- True when it was held still.
function concurrent.renew(c)
  if until_when(c) <= now then return false end
  concurrent.add(c)
  return true
end

function concurrent.give_back(c)
  redis.call('ZREM', c.key, id)
end

function concurrent.room(c)
  local last = redis.call('ZREVRANGE', c.key, 0, 0, 'WITHSCORES')
  return math.max(0, c.limit - c.held), math.max(0, (tonumber(last[2] or 0)) - now)
end
