-- Takes from all counters or from none, or only looks; behind the head and the algorithms that are needed.
-- Laws: R-L1 all or nothing, R-L3 peek, R-L8 leases, R-L9 shadow, R-L11 repeatable.
-- KEYS and ARGV: as the head says
-- Returns { 1 or 0, and for each counter: wait in ms or -1, remaining, reset in ms, granted }
-- Bound: 16 counters.
local record = mode == 'reserve' and KEYS[#KEYS]
local repeated = record and redis.call('EXISTS', record) == 1
local allowed = true
for _, c in ipairs(counters) do
  c.meter = meters[c.algorithm]
  c.meter.load(c)
  c.wait = repeated and 0 or c.meter.wait(c)
  if c.wait ~= 0 and not c.shadow then allowed = false end
end

local takes = allowed and not repeated and mode ~= 'peek'
local reply, taken = { allowed and 1 or 0 }, {}
for i, c in ipairs(counters) do
  local granted, stamp = 0, ''
  if takes and c.wait == 0 then
    if c.wish > 0 then granted = math.max(0, math.min(c.wish, c.meter.room(c) - c.units)) end
    stamp = int(c.meter.add(c, c.units + granted))
  end
  taken[i] = stamp == '' and '-' or int(c.units) .. ':' .. stamp
  local remaining, reset = c.meter.room(c)
  for _, n in ipairs({ c.wait, remaining, reset, granted }) do reply[#reply + 1] = n end
end

-- What a settlement has to know, and the counters that it is about.
if takes and record then
  local text = table.concat(taken, ' ') .. '\n' .. table.concat(KEYS, '\n')
  redis.call('SET', record, text, 'PX', ARGV[3])
end
return reply
