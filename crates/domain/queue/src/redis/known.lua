-- Purpose: which of the tasks that are handed in have ended already.
-- Laws: Q-L1.
-- KEYS: as in keys.lua.
-- ARGV: as accept.lua says.
-- Returns: nothing; it defines a function for accept.lua.
-- Bound: one command for each done bucket.

-- Arguments of each task.
local TASK_ARGS = 6

-- The final records of those of the ids that have ended, each id with its bucket in ARGV.
local function finals_of(ids, at)
  local buckets, finals = {}, {}
  for i, id in ipairs(ids) do
    local position = ARGV[at + (i - 1) * TASK_ARGS + 3]
    local bucket = buckets[position] or {}
    buckets[position], bucket[#bucket + 1] = bucket, id
  end
  for position, members in pairs(buckets) do
    local found = redis.call('HMGET', KEYS[DONE + position], unpack(members))
    for i, id in ipairs(members) do finals[id] = (found[i] or keeps()) and final(position, id) end
  end
  return finals
end
