-- Purpose: dead letters return to the tail of their level, as if they had never been tried.
-- Laws: Q-L2, Q-L8.
-- KEYS: as in lib.lua.
-- ARGV: from 3 on ids.
-- Returns: how many were dead.
-- Bound: 256 letters; one ZREM and one header for each.
local ids, kept, records = {}, {}, {}
check_list()
for i = 3, #ARGV do
  if redis.call('ZREM', DEAD, ARGV[i]) == 1 then ids[#ids + 1] = ARGV[i] end
end
if #ids == 0 then return 0 end
for i, record in ipairs(redis.call('HMGET', TASKS, unpack(ids))) do
  records[i] = record and edit(record, function(header)
    header.a, header.r, header.s, header.w = nil, nil, nil, nil
  end)
  if record then kept[#kept + 1], kept[#kept + 2] = ids[i], records[i] end
end
many('HSET', TASKS, kept)
many('HDEL', CRASH, ids)
to_tails(ids, records)
wake()
return #ids
