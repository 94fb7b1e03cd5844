-- Purpose: adds tasks that say nothing unusual to a queue without limits, in one piece, as step.lua here says.
-- Laws: Q-L1, Q-L2, Q-L5.
-- KEYS: as in fast/keys.lua.
-- ARGV: 3 number of tasks; then their ids, no two of them alike, and the rest of their records; then their levels and their
--       done buckets, both in runs: the number of runs, then of each what it is and how many of the tasks in their order.
-- Returns: 1 when all of them are ready now; nothing, and nothing was done, when one was known or the queue has limits.
-- Bound: 64 tasks, about 12 commands.
local DONE, count = 7, tonumber(ARGV[3])
local meta = redis.call('HMGET', META, 'policy', 'kept')
if meta[1] then return end

-- Whether one of the ids from `first` to `last` is known there.
local function knows(key, first, last)
  local found = redis.call('HMGET', key, unpack(ARGV, first, last))
  for i = 1, #found do
    if found[i] then return true end
  end
end
if knows(TASKS, 4, 3 + count) then return end
local levels = 4 + 2 * count
local buckets, first = levels + 1 + 2 * ARGV[levels], 4
for run = buckets + 1, buckets + 2 * ARGV[buckets], 2 do
  local bucket, last = DONE + ARGV[run], first + ARGV[run + 1] - 1
  if knows(KEYS[bucket], first, last) or meta[2] and knows(KEYS[bucket + 1], first, last) then return end
  first = last + 1
end

-- The plain list may be another program's: this fails before anything is written.
if ARGV[levels + 1] ~= 'n' then redis.call('LLEN', READY.n) end
-- For its size: a table that grows is copied again and again.
local tasks, time = { unpack(ARGV, 4, 3 + 2 * count) }, string.format('%d', now)
first = 4
for run = levels + 1, levels + 2 * ARGV[levels], 2 do
  local level, last = ARGV[run], first + ARGV[run + 1] - 1
  for i = first, last do
    tasks[i * 2 - 7], tasks[i * 2 - 6] = ARGV[i], level .. time .. ARGV[count + i]
  end
  redis.call('LPUSH', READY[level], unpack(ARGV, first, last))
  first = last + 1
end
redis.call('HSET', TASKS, unpack(tasks))
redis.call('HINCRBY', META, 'created', ARGV[3])
wake()
return 1
