-- Purpose: the next ready tasks, without taking them.
-- Laws: Q-L5; ids of cancelled tasks are passed over.
-- KEYS: as in lib.lua.
-- ARGV: 3 how many.
-- Returns: level, id ('' for an element that is no task yet) and record (or the element) of each.
-- Bound: 256 tasks; four pages of each level, each 16 longer than what is missing.
local limit, rows = tonumber(ARGV[3]), {}
for _, level in ipairs(LEVELS) do
  local last = -1
  for _ = 1, 4 do
    local missing = limit - #rows / 3
    local size = missing + 16
    local page = missing > 0 and redis.call('LRANGE', READY[level], last - size + 1, last) or {}
    if #page == 0 then break end
    local records = redis.call('HMGET', TASKS, unpack(page))
    for i = #page, 1, -1 do
      local is_ours = records[i] or is_id(page[i])
      if #rows / 3 < limit and (records[i] or not is_ours) then
        rows[#rows + 1], rows[#rows + 2] = level, is_ours and page[i] or ''
        rows[#rows + 1] = records[i] or page[i]
      end
    end
    last = last - size
  end
end
return rows
