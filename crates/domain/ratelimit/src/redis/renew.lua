-- Holds the places of a reservation for longer; behind the head and the algorithm `concurrent`.
-- Laws: R-L7 places.
-- KEYS and ARGV: as the head says
-- Returns 1, or 0 when a place is lost or the reservation is
-- Bound: 16 counters.
local record = KEYS[#KEYS]
local stored = redis.call('GET', record)
if not stored or string.match(stored, '^[^\n]*\n(.*)$') ~= table.concat(KEYS, '\n') then return 0 end
local held = 1
for _, c in ipairs(counters) do
  if c.algorithm == 'concurrent' and not meters.concurrent.renew(c) then held = 0 end
end
if redis.call('PTTL', record) < tonumber(ARGV[3]) then redis.call('PEXPIRE', record, ARGV[3]) end
return held
