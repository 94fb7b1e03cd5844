-- Purpose: dead letters return to the tail of their level, as if they had never been tried.
-- Laws: Q-L2, Q-L8, Q-L31.
-- KEYS: as in keys.lua.
-- ARGV: from 3 on ids, each with the time of death that is meant, or nothing.
-- Returns: how many were dead.
-- Bound: 256 letters; one ZSCORE, one ZREM and one header for each.
local ids, kept, records = {}, {}, {}
check_list()
for i = 3, #ARGV, 2 do
  local died = redis.call('ZSCORE', DEAD, ARGV[i])
  if died and (ARGV[i + 1] == '' or died == ARGV[i + 1]) then
    redis.call('ZREM', DEAD, ARGV[i])
    ids[#ids + 1] = ARGV[i]
  end
end
if #ids == 0 then return 0 end
for i, record in ipairs(redis.call('HMGET', TASKS, unpack(ids))) do
  records[i] = record and edit(record, function(header)
    header.a, header.r, header.s, header.w, header.h = nil, nil, nil, nil, nil
  end)
  if record then kept[#kept + 1], kept[#kept + 2] = ids[i], records[i] end
end
many('HSET', TASKS, kept)
many('HDEL', CRASH, ids)
to_tails(ids, records)
wake()
return #ids
