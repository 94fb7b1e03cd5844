-- Purpose: tenants take turns: deficit round robin, where every task costs one.
-- Laws: Q-L27.
-- KEYS, ARGV: as in keys.lua and lib.lua.
-- Returns: nothing; it defines functions.
-- Bound: 64 tenants; a page of tasks of each, and as many again as are taken.

-- Tenants of a level in the order of their turns, at most `most`. A turn that was begun is a fraction of its number.
local function ring_of(level, most, highest, size)
  local rows = redis.call('ZRANGEBYSCORE', TURNS[level], '-inf', highest, 'WITHSCORES', 'LIMIT', 0, most)
  local ring = {}
  for i = 1, #rows, 2 do
    local turn = math.floor(tonumber(rows[i + 1]))
    local used = math.floor((tonumber(rows[i + 1]) - turn) * 1024 + 0.5)
    ring[#ring + 1] = { name = rows[i], turn = turn, used = used < size and used or 0 }
  end
  return ring
end

-- Up to `count` of the next tasks of a tenant, from its set, a page at a time.
local function draw_set(level, tenant, count, page)
  local drawn = {}
  tenant.line, tenant.at, tenant.from = tenant.line or {}, tenant.at or 1, tenant.from or 0
  while #drawn < count do
    if not tenant.line[tenant.at] then
      local low, high = lex(tenant.name)
      tenant.line = redis.call('ZRANGEBYLEX', FAIR[level], low, high, 'LIMIT', tenant.from, math.max(page, count - #drawn))
      tenant.from, tenant.at = tenant.from + #tenant.line, 1
      if #tenant.line == 0 then break end
    end
    drawn[#drawn + 1] = tenant.line[tenant.at]
    tenant.at = tenant.at + 1
  end
  return drawn
end

-- Chooses up to `want` tasks. `allow` says how many a tenant may take; `draw` takes the next ones of it. Who was looked
-- at is marked, and has the turn and what is used of it that follow.
local function take_turns(ring, want, size, turn, allow, draw)
  local chosen, first = {}, 1
  while #chosen < want and ring[first] do
    local tenant = ring[first]
    first, tenant.left, tenant.looked = first + 1, tenant.left or allow(tenant), true
    local count = math.min(size - tenant.used, tenant.left, want - #chosen)
    local drawn = count > 0 and draw(tenant, count) or {}
    for _, task in ipairs(drawn) do chosen[#chosen + 1] = task end
    tenant.used, tenant.left = tenant.used + #drawn, tenant.left - #drawn
    if tenant.used >= size then
      tenant.turn, tenant.used, turn = turn, 0, turn + 1
      if tenant.left > 0 then ring[#ring + 1] = tenant end
    end
  end
  return chosen
end
