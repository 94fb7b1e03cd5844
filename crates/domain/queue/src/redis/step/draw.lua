-- Purpose: takes what is next in a plain list, where it is not simply handed out.
-- Laws: Q-L2, Q-L27.
-- KEYS, ARGV: as in keys.lua and lib.lua.
-- Returns: nothing; it defines a function.
-- Bound: 256 elements.

-- The next elements of the plain list: ids of cancelled tasks are dropped, and tasks that belong to a tenant set aside.
local function draw_list(level, list, count, gone)
  local drawn = {}
  while #drawn < count and list.popped < 256 do
    local last = -1 - list.popped
    local page = redis.call('LRANGE', READY[level], last - (count - #drawn) + 1, last)
    if #page == 0 then break end
    local records = redis.call('HMGET', TASKS, unpack(page))
    for i = #page, 1, -1 do
      list.popped = list.popped + 1
      if records[i] and quantum() and attribute(records[i], 't') then
        list.moved[#list.moved + 1], list.records[#list.moved + 1] = page[i], records[i]
      elseif records[i] or not is_id(page[i]) then
        drawn[#drawn + 1] = page[i]
      else
        gone[level] = (gone[level] or 0) - 1
      end
    end
  end
  return drawn
end
