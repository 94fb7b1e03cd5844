-- Purpose: a claim within the limits of the queue.
-- Laws: Q-L25 to Q-L28.
-- KEYS, ARGV: as in keys.lua and lib.lua.
-- Returns: what claim.lua does.
-- Bound: 256 tasks; 16 of them by age, each with a look at the four levels; rates and places of 64 tenants.

-- How many tasks the queue may hand out, and when one becomes free if that is a matter of time.
local function room()
  local most, active, rate = 256, rule('a'), rule('r')
  if active then most = active[1] - redis.call('ZCARD', LEASE) end
  if most <= 0 or not rate then return math.max(most, 0) end
  local free, at = tokens('q', rate)
  return math.min(most, free), free == 0 and at or nil
end

-- Rates count what was handed out.
local function count_rates(records)
  if rule('r') and #records > 0 then spend('q', rule('r'), #records) end
  local counts = {}
  for i = 1, rule('R') and #records or 0 do
    local tenant = attribute(records[i], 't')
    if tenant then counts[tenant] = (counts[tenant] or 0) + 1 end
  end
  for tenant, count in pairs(counts) do spend('t' .. tenant, rule('R'), count) end
end

local function claim_within(credits, braked, depth, gone, spares)
  local most, in_turns = math.min(credits, (room())), quantum() or rule('o')
  local chosen, level, by_age = { c = {}, h = {}, n = {}, l = {} }, nil, 0
  local function take(from, want)
    local list = { popped = 0, moved = {}, records = {} }
    local ids = in_turns and choose(from, want, gone, list) or draw_list(from, list, want, gone)
    if not in_turns and list.popped > 0 then redis.call('RPOP', READY[from], list.popped) end
    for _, id in ipairs(ids) do table.insert(chosen[from], id) end
    most = most - #ids
    return #ids + #list.moved > 0
  end

  if in_turns or rule('g') then
    repeat
      level = rule('g') and most > 0 and oldest(in_turns, gone)
      if level and by_age < 16 then take(level, 1) end
      by_age = by_age + 1
    until not level or by_age > 16
    for _, each in ipairs(LEVELS) do
      -- What is older than allowed waits for the next claim rather than for what is younger.
      while most > 0 and not level and take(each, most) do end
      local heads = {}
      for i = #chosen[each], 1, -1 do heads[#heads + 1] = chosen[each][i] end
      many('RPUSH', READY[each], heads)
      depth[each] = #heads
    end
    most = depth.c + depth.h + depth.n + depth.l
  end
  local rows, missing, earliest, late = claim(most, braked, depth, gone, spares)
  count_rates(rows[4])
  hold_full()
  return rows, missing, earliest, late
end
