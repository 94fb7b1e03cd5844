-- Purpose: a page of dead letters, newest first.
-- Laws: Q-L8, Q-L9.
-- KEYS: as in keys.lua.
-- ARGV: 3 how many, 4 when the last one of the page before died (or nothing), 5 its id.
-- Returns: id, time of death, crashes and record of each.
-- Bound: 256 letters.
local from = 0
if ARGV[4] ~= '' then
  -- The letter where the page ended may be gone: its place is found by putting it back for a moment.
  local score = redis.call('ZSCORE', DEAD, ARGV[5])
  if score ~= ARGV[4] then redis.call('ZADD', DEAD, ARGV[4], ARGV[5]) end
  from = redis.call('ZREVRANK', DEAD, ARGV[5]) + 1
  if not score then
    redis.call('ZREM', DEAD, ARGV[5])
    from = from - 1
  elseif score ~= ARGV[4] then
    redis.call('ZADD', DEAD, score, ARGV[5])
    if tonumber(score) < tonumber(ARGV[4]) then from = from - 1 end
  end
end
local page = redis.call('ZREVRANGE', DEAD, from, from + ARGV[3] - 1, 'WITHSCORES')
local ids, rows = {}, {}
for i = 1, #page, 2 do ids[#ids + 1] = page[i] end
if #ids == 0 then return rows end
local records, crashes = redis.call('HMGET', TASKS, unpack(ids)), redis.call('HMGET', CRASH, unpack(ids))
for i, id in ipairs(ids) do
  rows[#rows + 1], rows[#rows + 2] = id, tonumber(page[i * 2])
  rows[#rows + 1], rows[#rows + 2] = tonumber(crashes[i] or 0), records[i] or ''
end
return rows
