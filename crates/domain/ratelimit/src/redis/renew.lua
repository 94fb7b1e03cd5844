-- Holds the places of a reservation for longer; behind the head, the counters and the algorithm `concurrent`.
-- Laws: R-L7 places.
-- KEYS and ARGV: as the head says
-- Returns 1, or 0 when a place is lost or the reservation is
-- Bound: 16 counters.
local record = KEYS[#KEYS]
local held_by = redis.call('GET', record)
if not held_by or string.match(held_by, '^[^\n]*\n(.*)$') ~= table.concat(KEYS, '\n') then return 0 end
turn_to(KEYS, asked)
local held = 1
for _, c in ipairs(counters) do
  if c.algorithm == 'c' and not meters.c.renew(c) then held = 0 end
end
if redis.call('PTTL', record) < tonumber(ARGV[4]) then redis.call('PEXPIRE', record, ARGV[4]) end
return held
