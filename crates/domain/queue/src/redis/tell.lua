-- Purpose: tasks are told that one they wait for has ended: they become ready, or share its fate.
-- Laws: Q-L2, Q-L21, Q-L22.
-- KEYS, ARGV: as in keys.lua and lib.lua.
-- Returns: nothing; it defines functions.
-- Bound: ten variadic commands, and a header for each task that dies of it.
-- When the first of the tasks that were told and must wait for their time is due.
local told_due

local function tell(ids, state, reason)
  local waits, records = redis.call('HMGET', WAITING, unpack(ids)), redis.call('HMGET', TASKS, unpack(ids))
  local kept, gone, ready, fresh, delayed, dead, marks = {}, {}, {}, {}, {}, {}, {}
  for i, id in ipairs(ids) do
    local left, due = string.match(waits[i] or '', '^(%d+) ?(%d*)$')
    local policy = string.sub(attribute(records[i] or '', 'g') or '', 1, 1)
    if not left or not records[i] then
      -- It is called off, or was.
    elseif state ~= 'c' and policy == 'x' then
      kept[#kept + 1], kept[#kept + 2] = id, 'x' .. reason
      marks[#marks + 1], marks[#marks + 2] = 0, '#' .. id
    elseif state ~= 'c' and policy ~= 'c' then
      unlink(id, records[i])
      redis.call('HSET', TASKS, id, (edit(records[i], function(header) header.r = reason end)))
      dead[#dead + 1] = id
    elseif tonumber(left) > 1 then
      kept[#kept + 1], kept[#kept + 2] = id, string.format('%.0f %s', left - 1, due)
    else
      gone[#gone + 1] = id
      if (tonumber(due) or 0) > now then
        delayed[#delayed + 1], delayed[#delayed + 2] = due, id
        told_due = math.min(told_due or math.huge, tonumber(due))
      else
        ready[#ready + 1], fresh[#fresh + 1] = id, records[i]
      end
    end
  end
  many('HSET', WAITING, kept)
  many('HDEL', WAITING, gone)
  many('ZADD', NEXT, marks)
  many('ZADD', DELAYED, delayed)
  to_tails(ready, fresh)
  bury(dead)
  if #ready + #delayed > 0 then wake() end
end
