-- Purpose: tasks whose lease ended go back to the head of their level, or to the dead letters after too many.
-- Laws: Q-L3, Q-L9, Q-L10, Q-L12.
-- KEYS: as in keys.lua.
-- ARGV: 6 crashes that make a dead letter, 7 stall threshold, 8 grace after a stall, both in milliseconds.
-- Returns: ids and fences of ended leases that carry an order to cancel (the caller settles them), and nothing else.
-- Bound: 32 leases, one HINCRBY and one header each; one command when no lease has ended.

-- When everybody was away for long, leases that ended meanwhile are spared for a while.
local function grace(last, since, until_)
  if last and now - last > tonumber(ARGV[7]) then
    since, until_ = last, now + ARGV[8]
    redis.call('HSET', META, 'last_step', now, 'grace_since', since, 'grace_until', until_)
  elseif not last or (now - last) * 16 > tonumber(ARGV[7]) then
    -- Noted now and then (STEP_NOTES in limits.rs): a busy queue steps a thousand times a second.
    redis.call('HSET', META, 'last_step', now)
  end
  return since or 0, until_ or 0
end

-- `head` is when the first lease ends, or nil.
local function reap(since, until_, head)
  if not head or head > now then return {} end
  local ended = redis.call('ZRANGEBYSCORE', LEASE, '-inf', now < until_ and math.min(since, now) or now, 'LIMIT', 0, 32)
  if #ended == 0 then return {} end
  local owns, tasks = redis.call('HMGET', OWN, unpack(ended)), redis.call('HMGET', TASKS, unpack(ended))
  local orders = redis.call('EXISTS', ORDERS) == 1 and redis.call('HMGET', ORDERS, unpack(ended)) or {}
  local left, kept, dead, returned, records, cancelled = {}, {}, {}, {}, {}, {}
  for i, id in ipairs(ended) do
    local fence, started, worker = string.match(owns[i] or '', '^(%d+)|(%d+)|([^|]*)')
    if orders[i] and fence and tasks[i] then
      cancelled[#cancelled + 1] = id
      cancelled[#cancelled + 1] = fence
    else
      left[#left + 1] = id
      if tasks[i] then
        local crashes = redis.call('HINCRBY', CRASH, id, 1)
        local is_loop = crashes >= tonumber(ARGV[6])
        records[id] = edit(tasks[i], function(header)
          header.s, header.w = tonumber(started), worker
          remember(header, (tonumber(header.a) or 0) + 1, started, worker, 'its lease ended without a result')
          if is_loop then header.r = 'crash loop: ' .. crashes .. ' leases ended without a result' end
        end)
        kept[#kept + 1], kept[#kept + 2] = id, records[id]
        if is_loop then dead[#dead + 1] = id else returned[#returned + 1] = id end
      end
    end
  end
  unlease(left)
  many('HSET', TASKS, kept)
  bury(dead)
  to_heads(returned, records)
  tally('crashed', #kept / 2)
  return cancelled
end
