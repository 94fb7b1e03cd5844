-- Purpose: walks the records, looking for tasks that are in no place, unless it is a ready list.
-- Laws: Q-L30.
-- KEYS: as in keys.lua.
-- ARGV: 3 cursor, 4 how many records, about.
-- Returns: the next cursor, how many records were looked at, id of each such task and a digest of its record.
-- Bound: as many records as asked for, or those of a hash in its compact form (512 by the server's default).
local page = redis.call('HSCAN', TASKS, ARGV[3], 'COUNT', ARGV[4])
local ids, records, missing = {}, {}, {}
for i = 1, #page[2], 2 do ids[#ids + 1], records[#records + 1] = page[2][i], page[2][i + 1] end
if #ids == 0 then return { page[1], 0, missing } end
local has = placed(ids, records)
for i, id in ipairs(ids) do
  if not has[id] then missing[#missing + 1], missing[#missing + 2] = id, digest_of(records[i]) end
end
return { page[1], #ids, missing }
