-- Purpose: notes that a worker is there, and how many places it has.
-- Laws: Q-L33.
-- KEYS: as in keys.lua.
-- ARGV: 3 worker; 4 the number of its places, 0 when it leaves, or '+' and what it is about to ask for.
-- Returns: nothing.
-- Bound: 256 leases, 16 other workers.
if ARGV[4] == '0' then return redis.call('HDEL', WORKERS, ARGV[3]) end
local since, _, before = read_worker(redis.call('HGET', WORKERS, ARGV[3]))
local slots = tonumber(ARGV[4])
if string.sub(ARGV[4], 1, 1) == '+' then
  if redis.call('HLEN', OWN) > 256 then
    slots = math.max(slots, tonumber(before or 0))
  else
    for _, own in ipairs(redis.call('HVALS', OWN)) do -- allow(HVALS): 256 at most
      if string.match(own, '^%d+|%d+|([^|]*)') == ARGV[3] then slots = slots + 1 end
    end
  end
end
local some, gone = redis.call('HRANDFIELD', WORKERS, 16, 'WITHVALUES'), {}
for i = 1, #some, 2 do
  if not read_worker(some[i + 1]) then gone[#gone + 1] = some[i] end
end
many('HDEL', WORKERS, gone)
redis.call('HSET', WORKERS, ARGV[3], string.format('%s|%d|%d', since or string.format('%d', now), now, slots))
redis.call('PEXPIRE', WORKERS, WORKER_TTL)
