-- Purpose: parked tasks return to the heads of their levels, newest first from call to call.
-- Laws: Q-L11.
-- KEYS: as in keys.lua.
-- ARGV: 3 user, or nothing for everyone, 4 '1' when everyone is meant, 5 how many at most.
-- Returns: how many.
-- Bound: 256 tasks, and two look-ups for each user with parked tasks whose own brake is on.
check_list()
local user, limit = ARGV[3], tonumber(ARGV[5])
local braked = tonumber(redis.call('HGET', META, 'braked') or 0)
if is_braked(user, braked) then return 0 end
local low, high = '[' .. user .. '\0', '(' .. user .. '\1'
if ARGV[4] == '1' then low, high = '-', '+' end
local members, ids = {}, {}
local size = limit
local page = redis.call('ZREVRANGEBYLEX', PARKED, high, low, 'LIMIT', 0, size)
while #page > 0 and #ids < limit do
  size = size * 2
  for _, member in ipairs(page) do
    local owner, id = string.match(member, '^([^%z]*)%z(.*)$')
    high = '(' .. member
    if is_braked(owner, braked) then
      -- One is enough to see whose tasks come next: many may be braked.
      high, size = '(' .. owner .. '\0', 1
      break
    end
    members[#members + 1], ids[#ids + 1] = member, id
    if #ids == limit then break end
  end
  page = #ids < limit and redis.call('ZREVRANGEBYLEX', PARKED, high, low, 'LIMIT', 0, math.min(size, limit - #ids)) or {}
end
if #ids == 0 then return 0 end

-- In the order in which they were made. Numbers, because the server's locale decides how Lua compares text.
local ranks = {}
local function part(id, from)
  local rank = 0
  for _, byte in ipairs({ string.byte(id, from, from + 6) }) do rank = rank * 128 + byte end
  return rank
end
for _, id in ipairs(ids) do ranks[id] = { part(id, 1), part(id, 8), part(id, 15) } end
table.sort(ids, function(a, b)
  a, b = ranks[a], ranks[b]
  if a[1] ~= b[1] then return a[1] < b[1] end
  if a[2] ~= b[2] then return a[2] < b[2] end
  return a[3] < b[3]
end)
local records = {}
for i, record in ipairs(redis.call('HMGET', TASKS, unpack(ids))) do records[ids[i]] = record or '' end
many('ZREM', PARKED, members)
to_heads(ids, records)
wake()
return #ids
