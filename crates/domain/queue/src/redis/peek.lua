-- Purpose: the next ready tasks, without taking them.
-- Laws: Q-L5, Q-L27; ids of cancelled tasks are passed over.
-- KEYS: as in keys.lua.
-- ARGV: 3 how many.
-- Returns: level, id ('' for an element that is no task yet) and record (or the element) of each.
-- Bound: 256 tasks; four pages of each level, each 16 longer than what is missing, and as peek_turns.lua says.
local limit, rows = tonumber(ARGV[3]), {}
local function show(level, id, record)
  local is_ours = record or is_id(id)
  if #rows / 3 < limit and (record or not is_ours) then
    rows[#rows + 1], rows[#rows + 2] = level, is_ours and id or ''
    rows[#rows + 1] = record or id
  end
end

local in_turns = quantum() or rule('o')
for _, level in ipairs(LEVELS) do
  local last, missing = -1, limit - #rows / 3
  if in_turns and missing > 0 then
    local ids = peek_in_turns(level, missing)
    local records = #ids > 0 and redis.call('HMGET', TASKS, unpack(ids)) or {}
    for i, id in ipairs(ids) do show(level, id, records[i]) end
  end
  for _ = 1, in_turns and 0 or 4 do
    missing = limit - #rows / 3
    local size = missing + 16
    local page = missing > 0 and redis.call('LRANGE', READY[level], last - size + 1, last) or {}
    if #page == 0 then break end
    local records = redis.call('HMGET', TASKS, unpack(page))
    for i = #page, 1, -1 do show(level, page[i], records[i]) end
    last = last - size
  end
end
return rows
