-- Purpose: dead letters return to the tail of their level, as if they had never been tried.
-- Laws: Q-L2, Q-L8.
-- KEYS: as in lib.lua.
-- ARGV: from 3 on ids.
-- Returns: how many were dead.
-- Bound: 256 letters; one ZREM and one header for each.
local ids, lists, kept = {}, { c = {}, h = {}, n = {}, l = {} }, {}
check_list()
for i = 3, #ARGV do
  if redis.call('ZREM', DEAD, ARGV[i]) == 1 then ids[#ids + 1] = ARGV[i] end
end
if #ids == 0 then return 0 end
for i, record in ipairs(redis.call('HMGET', TASKS, unpack(ids))) do
  if record then
    kept[#kept + 1], kept[#kept + 2] = ids[i], edit(record, function(header)
      header.a, header.r, header.s, header.w = nil, nil, nil, nil
    end)
    local list = lists[string.sub(record, 1, 1)] or lists.n
    list[#list + 1] = ids[i]
  end
end
many('HSET', TASKS, kept)
many('HDEL', CRASH, ids)
for _, level in ipairs(LEVELS) do many('LPUSH', READY[level], lists[level]) end
wake()
return #ids
