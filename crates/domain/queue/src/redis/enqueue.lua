-- Purpose: adds tasks whose ids are not known yet.
-- Laws: Q-L1, Q-L2, Q-L7.
-- KEYS: as in lib.lua.
-- ARGV: 3 number of tasks; for each: id, level, due ('' now, 'd<ms>' after, 'a<ms>' at), done bucket, rest of the record.
-- Returns: for each task the state it has now.
-- Bound: 256 tasks; six variadic commands, and a few more for each id that is known already.
local count, ids, buckets = tonumber(ARGV[3]), {}, {}
for i = 1, count do
  local at = 4 + (i - 1) * 5
  ids[i] = ARGV[at]
  local bucket = buckets[ARGV[at + 3]] or {}
  buckets[ARGV[at + 3]] = bucket
  bucket[#bucket + 1] = ARGV[at]
end
check_list()
local records = count > 0 and redis.call('HMGET', TASKS, unpack(ids)) or {}
local finals = {}
for bucket, members in pairs(buckets) do
  local found = redis.call('HMGET', KEYS[15 + bucket], unpack(members))
  for i, id in ipairs(members) do finals[id] = found[i] and final(bucket, id) end
end
local states, accepted = {}, {}
local tasks, delayed, lists = {}, {}, { c = {}, h = {}, n = {}, l = {} }
for i, id in ipairs(ids) do
  local at = 4 + (i - 1) * 5
  local level, due, given = ARGV[at + 1], now, ARGV[at + 2]
  if accepted[id] then
    states[i] = accepted[id]
  elseif records[i] then
    states[i] = place(id, records[i])
  elseif finals[id] then
    states[i] = string.match(finals[id], '^%d+ (%l)')
  else
    if given ~= '' then due = tonumber(string.sub(given, 2)) + (string.sub(given, 1, 1) == 'd' and now or 0) end
    tasks[#tasks + 1] = id
    tasks[#tasks + 1] = level .. string.format('%.0f', now) .. ARGV[at + 4]
    if due > now then
      delayed[#delayed + 1] = due
      delayed[#delayed + 1] = id
    else
      lists[level][#lists[level] + 1] = id
    end
    states[i] = due > now and 'w' or 'q'
    accepted[id] = states[i]
  end
end
if #tasks > 0 then
  many('HSET', TASKS, tasks)
  for _, level in ipairs(LEVELS) do many('LPUSH', READY[level], lists[level]) end
  many('ZADD', DELAYED, delayed)
  redis.call('HINCRBY', META, 'created', #tasks / 2)
  wake()
end
return states
