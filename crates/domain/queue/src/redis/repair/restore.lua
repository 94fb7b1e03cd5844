-- Purpose: puts tasks that were found in no place at the tail of their level.
-- Laws: Q-L2, Q-L30.
-- KEYS: as in keys.lua.
-- ARGV: from 3 on ids, each with the digest of its record when it was found.
-- Returns: how many. One that moved meanwhile, or ended, is left alone.
-- Bound: 64 tasks.
local ids, back, rows = {}, {}, {}
check_list()
for i = 3, #ARGV, 2 do ids[#ids + 1] = ARGV[i] end
local records = redis.call('HMGET', TASKS, unpack(ids))
local has = placed(ids, records)
for i, id in ipairs(ids) do
  if records[i] and not has[id] and digest_of(records[i]) == ARGV[2 + i * 2] then
    back[#back + 1], rows[#rows + 1] = id, records[i]
  end
end
if #back == 0 then return 0 end
must_write()
to_tails(back, rows)
wake()
return #back
