-- Purpose: adds tasks that say nothing unusual to a queue without limits, in one piece, as step.lua here says.
-- Laws: Q-L1, Q-L2, Q-L5.
-- KEYS: as in fast/keys.lua.
-- ARGV: 3 number of tasks, then of each its id, level, done bucket and the rest of its record.
-- Returns: 1 when all of them are ready now; nothing, and nothing was done, when one was known or the queue has limits.
-- Bound: 128 tasks, about 12 commands.
local DONE = 7
local meta = redis.call('HMGET', META, 'policy', 'kept')
if meta[1] then return end
local ids, tasks, lists, buckets, seen = {}, {}, {}, {}, {}
for i = 1, tonumber(ARGV[3]) do
  local id, level, bucket, record = unpack(ARGV, i * 4, i * 4 + 3)
  if seen[id] then return end
  local list, others = lists[level] or {}, buckets[bucket] or {}
  lists[level], buckets[bucket], seen[id] = list, others, true
  ids[i], list[#list + 1], others[#others + 1] = id, id, id
  tasks[i * 2 - 1], tasks[i * 2] = id, level .. string.format('%d', now) .. record
end
local function knows(key, members)
  for _, value in ipairs(redis.call('HMGET', key, unpack(members))) do
    if value then return true end
  end
end
if knows(TASKS, ids) then return end
for bucket, members in pairs(buckets) do
  if knows(KEYS[DONE + bucket], members) then return end
  if meta[2] and knows(KEYS[DONE + bucket + 1], members) then return end
end
-- The plain list may be another program's, so this is the first to write.
for _, level in ipairs({ 'n', 'c', 'h', 'l' }) do many('LPUSH', READY[level], lists[level] or {}) end
redis.call('HSET', TASKS, unpack(tasks))
redis.call('HINCRBY', META, 'created', #ids)
wake()
return 1
