-- Purpose: the next tasks of a level whose tenants take turns, without taking them.
-- Laws: Q-L27; tenants that a limit holds back come last.
-- KEYS, ARGV: as in keys.lua and lib.lua.
-- Returns: nothing; it defines a function.
-- Bound: 64 tenants, as turns.lua; four pages of the list, each 16 longer than what is missing.

-- Up to `count` of the next elements of the list, from where the last call ended.
local function peek_list(level, list, count)
  local drawn = {}
  for _ = 1, 4 do
    local size = count - #drawn
    local page = size > 0 and redis.call('LRANGE', READY[level], list.last - size - 15, list.last) or {}
    if #page == 0 then break end
    local records = redis.call('HMGET', TASKS, unpack(page))
    for i = #page, 1, -1 do
      if #drawn < count then
        list.last = list.last - 1
        if records[i] or not is_id(page[i]) then drawn[#drawn + 1] = page[i] end
      end
    end
  end
  return drawn
end

local function peek_in_turns(level, want)
  local size, at, has_list = quantum() or 1, nil, false
  local ring, turn = ring_of(level, 64, '+inf', size), next_turn(level)
  for i, tenant in ipairs(ring) do
    has_list = has_list or tenant.name == ''
    if tenant.turn >= HELD then at = at or i end
  end
  if not has_list then table.insert(ring, at or #ring + 1, { name = '', turn = turn, used = 0 }) end
  local list, page = { last = -1 }, math.max(size, math.ceil(want / #ring))
  return take_turns(ring, want, size, turn, function() return 256 end, function(tenant, count)
    if tenant.name == '' then return peek_list(level, list, count) end
    local ids = {}
    for i, member in ipairs(draw_set(level, tenant, count, page)) do ids[i] = string.match(member, '%z(.*)$') end
    return ids
  end)
end
