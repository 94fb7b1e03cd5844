-- Takes from all counters or from none, or only looks; behind the head, the counters and the algorithms that are needed.
-- Laws: R-L1 all or nothing, R-L3 peek, R-L8 leases, R-L9 shadow, R-L11 repeatable.
-- KEYS and ARGV: as the head says
-- Returns { 1 or 0, and for each counter: wait in ms or -1, remaining, reset in ms, granted }
-- Bound: 16 counters.
local function take()
  local record = mode == 'reserve' and KEYS[#KEYS]
  local repeated = record and redis.call('EXISTS', record) == 1
  local allowed = true
  for i = 1, #counters do
    local c = counters[i]
    local meter = meters[c.algorithm]
    meter.load(c)
    c.wait = repeated and 0 or meter.wait(c)
    if c.wait ~= 0 and not c.shadow then allowed = false end
  end

  local takes = allowed and not repeated and mode ~= 'peek'
  local reply, taken = { allowed and 1 or 0 }, {}
  for i = 1, #counters do
    local c = counters[i]
    local meter, granted, stamp = meters[c.algorithm], 0, nil
    if takes and c.wait == 0 then
      if c.wish > 0 then granted = math.max(0, math.min(c.wish, meter.room(c) - c.units)) end
      stamp = meter.add(c, c.units + granted)
    end
    if record then taken[i] = stamp and int(c.units) .. ':' .. int(stamp) or '-' end
    local n, remaining, reset = 4 * i, meter.room(c)
    reply[n - 2], reply[n - 1], reply[n], reply[n + 1] = c.wait, remaining, reset, granted
  end

  -- What a settlement has to know, and the counters that it is about.
  if takes and record then
    local text = table.concat(taken, ' ') .. '\n' .. table.concat(KEYS, '\n')
    redis.call('SET', record, text, 'PX', ARGV[4])
  end
  return reply
end
if not left then
  turn_to(KEYS, asked)
  return take()
end
