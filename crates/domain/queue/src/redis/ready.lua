-- Purpose: the only way in which tasks become ready: at the tail of their level, or back at its head.
-- Laws: Q-L5, Q-L6, Q-L9, Q-L11, Q-L27, Q-L28.
-- KEYS, ARGV: as in keys.lua and lib.lua.
-- Returns: nothing; it defines functions.
-- Bound: one push for each level, and what fair.lua and age.lua say.
local function by_level(ids, records)
  ids, records = share(ids, records)
  local lists = { c = {}, h = {}, n = {}, l = {} }
  for i, id in ipairs(ids) do
    local list = lists[string.sub(records[i] or '', 1, 1)] or lists.n
    list[#list + 1] = id
  end
  return lists
end

-- The first given is handed out first. `records[i]` belongs to `ids[i]`.
local function to_tails(ids, records)
  note_ready(ids, records)
  local lists = by_level(ids, records)
  for _, level in ipairs(LEVELS) do many('LPUSH', READY[level], lists[level]) end
end

-- The first given is handed out first, before all others of its level. `records` are by id.
local function to_heads(ids, records)
  local order, rows = {}, {}
  for i = #ids, 1, -1 do order[#order + 1], rows[#rows + 1] = ids[i], records[ids[i]] end
  local lists = by_level(order, rows)
  for _, level in ipairs(LEVELS) do many('RPUSH', READY[level], lists[level]) end
end
