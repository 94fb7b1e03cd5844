-- Ends a reservation by the difference between what was taken and what was used; behind the head, the counters and the algorithms.
-- Laws: R-L6 one settlement.
-- KEYS and ARGV: as the head says
-- Returns 1 when this call did, or 0
-- Bound: 16 counters.
local record = KEYS[#KEYS]
local reserved = redis.call('GET', record)
if not reserved then return 0 end
local taken, keys = string.match(reserved, '^([^\n]*)\n(.*)$')
if keys ~= table.concat(KEYS, '\n') then return 0 end
redis.call('DEL', record)
turn_to(KEYS, asked)

local i = 0
for entry in string.gmatch(taken, '%S+') do
  i = i + 1
  local c = counters[i]
  local units, stamp = string.match(entry, '^(%d+):(%d+)$')
  if units then
    units, stamp, c.meter = tonumber(units), tonumber(stamp), meters[c.algorithm]
    c.meter.load(c)
    local used = units
    if mode == 'refund' then used = 0 elseif c.by_cost then used = tonumber(ARGV[4]) end
    if c.algorithm == 'c' or used < units then
      c.meter.give_back(c, stamp, units - used)
    elseif used > units then
      -- No more than its log can hold.
      c.meter.add(c, c.algorithm == 'e' and math.min(used - units, c.limit) or used - units)
    end
  end
end
return 1
