-- Purpose: what workers are done with leaves their hands: completed, cancelled, to be retried, dead, or given back.
-- Laws: Q-L2, Q-L4, Q-L6, Q-L8, Q-L12, Q-L16.
-- KEYS: as in keys.lua.
-- ARGV: from `at` six for each settlement: id, fence, outcome (c completed, x cancelled, f failed, d failed for good,
--       q released), done bucket, result or reason, wait before a retry ('d<ms>', or 'r<0..1>' for its policy).
-- Returns: for each the state it has now, or '-' when the lease is lost.
-- Bound: 256 settlements, about ten variadic commands; a record is read only of what stays unfinished.

local function settle(count, at)
  if count == 0 then return {} end
  local ids, answers, done = {}, {}, {}
  for i = 1, count do ids[i] = ARGV[at + (i - 1) * 6] end
  local owns = redis.call('HMGET', OWN, unpack(ids))
  local orders = redis.call('EXISTS', ORDERS) == 1 and redis.call('HMGET', ORDERS, unpack(ids)) or {}
  local left, ended, finals, kept, released, records, counts = {}, {}, {}, {}, {}, {}, { c = 0, x = 0 }
  local delayed, dead, head = {}, {}, string.format('%d ', now)
  for i, id in ipairs(ids) do
    local from = at + (i - 1) * 6
    local fence, outcome, bucket, text = ARGV[from + 1], ARGV[from + 2], ARGV[from + 3], ARGV[from + 4]
    local own = not done[id] and owns[i]
    if own and string.match(own, '^%d+') == fence then
      left[#left + 1] = id
      note_attempt(i, own)
      -- Only a completion is stronger than an order to cancel.
      if outcome ~= 'c' and orders[i] then outcome, text = 'x', string.sub(orders[i], 8) end
      if outcome == 'c' or outcome == 'x' then
        local bundle = finals[bucket] or {}
        finals[bucket], ended[#ended + 1] = bundle, id
        own = owner_and_line(own, id)
        -- A task that expired was under lease for its end only: nobody ever worked on it.
        if orders[i] and string.sub(orders[i], 1, 7) == 'expire:' then own = string.match(own, '\n.*') end
        bundle[#bundle + 1], bundle[#bundle + 2] = id, head .. outcome .. ' ' .. own .. text
        counts[outcome] = counts[outcome] + 1
      else
        local due
        outcome, records[id], due = attempt(redis.call('HGET', TASKS, id) or '', own, outcome, text, ARGV[from + 5])
        kept[#kept + 1], kept[#kept + 2] = id, records[id]
        if outcome == 'f' then delayed[#delayed + 1], delayed[#delayed + 2] = due, id end
        if outcome == 'd' then dead[#dead + 1] = id end
        if outcome == 'q' then released[#released + 1] = id end
      end
      answers[i], done[id] = outcome, { fence = fence, state = outcome }
    else
      answers[i] = repeated(id, fence, bucket, redis.call('HGET', TASKS, id), done[id])
    end
  end
  if #left > 0 then unlease(left) else must_write() end
  store_finals(finals, ended, counts)
  many('HSET', TASKS, kept)
  many('ZADD', DELAYED, delayed)
  bury(dead)
  to_heads(released, records)
  tally('failed', #dead + #delayed / 2)
  tally('retried', #delayed / 2)
  return answers
end
