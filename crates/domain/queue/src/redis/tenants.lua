-- Purpose: which tasks of a tenant are in the hands of workers, and that tenants held back may go on.
-- Laws: Q-L25, Q-L27.
-- KEYS, ARGV: as in keys.lua and lib.lua.
-- Returns: nothing; it defines functions.
-- Bound: three variadic commands for each level.

-- Tasks got leases.
local function enter_tenants(ids, records)
  local rows = {}
  for i, id in ipairs(ids) do
    local tenant = attribute(records[i], 't')
    if tenant then rows[#rows + 1], rows[#rows + 2] = 0, tenant .. '\0' .. id end
  end
  many('ZADD', TENANTS, rows)
end

-- Tasks lose their leases; who owns them is still written down, with the first lines of their records.
local function leave_tenants(ids)
  if #ids == 0 or redis.call('EXISTS', TENANTS) == 0 then return end
  local members, freed, seen = {}, {}, {}
  for i, own in ipairs(redis.call('HMGET', OWN, unpack(ids))) do
    local tenant = own and attribute(string.match(own, '\n(.*)$') or '', 't')
    if tenant then
      members[#members + 1] = tenant .. '\0' .. ids[i]
      if not seen[tenant] then freed[#freed + 1], seen[tenant] = tenant, true end
    end
  end
  many('ZREM', TENANTS, members)
  for _, level in ipairs(LEVELS) do
    local back = {}
    if #freed > 0 and redis.call('EXISTS', TURNS[level]) == 1 then
      for i, score in ipairs(redis.call('ZMSCORE', TURNS[level], unpack(freed))) do
        if score and tonumber(score) >= HELD then back[#back + 1] = freed[i] end
      end
    end
    join(level, back)
  end
end

-- Tenants whose time has come go on.
local function go_on(level, till)
  local limit = string.format('%.0f', HELD + till)
  local back = redis.call('ZRANGEBYSCORE', TURNS[level], '1e15', limit, 'LIMIT', 0, 64)
  join(level, back)
  return #back
end
