-- Purpose: chooses among the tenants of a level, and remembers how far their turns have got.
-- Laws: Q-L2, Q-L27: whoever is told the ids puts them at the head of the list.
-- KEYS, ARGV: as in keys.lua and lib.lua.
-- Returns: nothing; it defines a function, which answers the ids of tasks that now stand nowhere, and notes in `list`
--          what it did with the plain list.
-- Bound: 64 tenants in a step, 256 tasks.
local function choose(level, want, gone, list)
  local size = quantum() or 1
  local function waiting() return redis.call('LLEN', READY[level]) - math.max(gone[level] or 0, 0) end
  go_on(level, now)
  if waiting() > 0 then join(level, { '' }, 'NX') end
  local ring = ring_of(level, 64 - looked, '(1e15', size)
  if #ring == 0 then return {} end
  local tenants, page = #ring, math.max(size, math.ceil(want / #ring))
  local members = {}
  local chosen = take_turns(ring, want, size, next_turn(level), allow, function(tenant, count)
    if tenant.name == '' then return draw_list(level, list, count, gone) end
    local drawn = draw_set(level, tenant, count, page)
    taken[tenant.name] = (taken[tenant.name] or 0) + #drawn
    for i, member in ipairs(drawn) do
      members[#members + 1] = member
      drawn[i] = string.match(member, '%z(.*)$')
    end
    return drawn
  end)

  if list.popped > 0 then redis.call('RPOP', READY[level], list.popped) end
  many('ZREM', FAIR[level], members)
  local rows = {}
  for i = 1, tenants do
    local tenant = ring[i]
    if tenant.looked then
      local score = tenant.held and HELD + tenant.held or tenant.turn + tenant.used / 1024
      rows[#rows + 1], rows[#rows + 2] = string.format('%.17g', score), tenant.name
      looked = looked + 1
    end
  end
  many('ZADD', TURNS[level], rows)
  share(list.moved, list.records)
  for i = 1, tenants do
    if ring[i].looked and ring[i].name ~= '' then leave(level, ring[i].name) end
  end
  if waiting() <= 0 then redis.call('ZREM', TURNS[level], '') end
  return chosen
end
