-- Purpose: how many tasks a tenant may take.
-- Laws: Q-L25, Q-L26, Q-L27.
-- KEYS, ARGV: as in keys.lua and lib.lua.
-- Returns: nothing; it defines functions.
-- Bound: 64 tenants in a step, five commands each, and 16 more for one at its limit.
local looked, taken = 0, {}

-- How many tasks a tenant may take besides those it has taken, and in `held` until when it must wait for one.
local function allow(tenant)
  local most, active, rate = 256, rule('A'), rule('R')
  if tenant.name == '' then return most end
  if active then
    local low, high = lex(tenant.name)
    most = active[1] - redis.call('ZLEXCOUNT', TENANTS, low, high)
    if most <= 0 then
      -- Whoever lost a lease without leaving this set, by an older version, must not hold a place for ever.
      for _, member in ipairs(redis.call('ZRANGEBYLEX', TENANTS, low, high, 'LIMIT', 0, 16)) do
        local id = string.match(member, '%z(.*)$')
        if not redis.call('ZSCORE', LEASE, id) then most = most + redis.call('ZREM', TENANTS, member) end
      end
    end
    -- A task that ends lets it go on; this is for what nobody tells.
    if most <= 0 then tenant.held = now + 60000 end
  end
  if rate and most > 0 then
    local free, at = tokens('t' .. tenant.name, rate)
    if free == 0 then tenant.held = at end
    most = math.min(most, free)
  end
  return math.max(most - (taken[tenant.name] or 0), 0)
end

-- Tenants that have taken all they may are held back.
local function hold_full()
  local rows, names = {}, taken
  taken = {}
  for name in pairs(names) do
    local tenant = { name = name }
    allow(tenant)
    if tenant.held then rows[#rows + 1], rows[#rows + 2] = string.format('%.17g', HELD + tenant.held), name end
  end
  if #rows == 0 then return end
  for _, level in ipairs(LEVELS) do redis.call('ZADD', TURNS[level], 'XX', unpack(rows)) end
end
