-- Purpose: takes in tasks whose ids are not known yet.
-- Laws: Q-L1, Q-L2, Q-L7.
-- KEYS: as in lib.lua.
-- ARGV: from `at` five for each task: id, level, due ('' now, 'd<ms>' after, 'a<ms>' at), done bucket, rest of the record.
-- Returns: for each task the state it has now, followed by its id when it was known before. Nothing has been written
--          before the first new task.
-- Bound: 256 tasks; six variadic commands, and a few more for each id that is known already.
local TASK_ARGS = 5

local function accept(count, at)
  local ids, buckets, finals = {}, {}, {}
  for i = 1, count do
    local from = at + (i - 1) * TASK_ARGS
    ids[i] = ARGV[from]
    local bucket = buckets[ARGV[from + 3]] or {}
    buckets[ARGV[from + 3]] = bucket
    bucket[#bucket + 1] = ARGV[from]
  end
  local records = count > 0 and redis.call('HMGET', TASKS, unpack(ids)) or {}
  for bucket, members in pairs(buckets) do
    local found = redis.call('HMGET', KEYS[DONE + bucket], unpack(members))
    for i, id in ipairs(members) do finals[id] = found[i] and final(bucket, id) end
  end
  local states, accepted = {}, {}
  local tasks, delayed, ready, fresh = {}, {}, {}, {}
  for i, id in ipairs(ids) do
    local from = at + (i - 1) * TASK_ARGS
    local due, given = now, ARGV[from + 2]
    if accepted[id] then
      states[i] = accepted[id] .. id
    elseif records[i] then
      states[i] = place(id, records[i]) .. id
    elseif finals[id] then
      states[i] = string.match(finals[id], '^%d+ (%l)') .. id
    else
      if given ~= '' then due = tonumber(string.sub(given, 2)) + (string.sub(given, 1, 1) == 'd' and now or 0) end
      local record = ARGV[from + 1] .. string.format('%.0f', now) .. ARGV[from + 4]
      tasks[#tasks + 1], tasks[#tasks + 2] = id, record
      if due > now then
        delayed[#delayed + 1], delayed[#delayed + 2] = due, id
      else
        ready[#ready + 1], fresh[#fresh + 1] = id, record
      end
      states[i] = due > now and 'w' or 'q'
      accepted[id] = states[i]
    end
  end
  if #tasks > 0 then
    many('HSET', TASKS, tasks)
    to_tails(ready, fresh)
    many('ZADD', DELAYED, delayed)
    redis.call('HINCRBY', META, 'created', #tasks / 2)
    wake()
  end
  return states
end
