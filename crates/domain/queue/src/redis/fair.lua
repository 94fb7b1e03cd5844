-- Purpose: ready tasks of tenants stand in sets of their own while tenants take turns.
-- Laws: Q-L25, Q-L27.
-- KEYS, ARGV: as in keys.lua and lib.lua.
-- Returns: nothing; it defines functions.
-- Bound: two commands for each level, and two for each level with tenants that were held back.
local FAIR = { c = KEYS[21], h = KEYS[22], n = KEYS[23], l = KEYS[24] }
-- Tenant by turn; from HELD on, by the time until which a limit holds it back. '' are the tasks without tenant.
local TURNS, TENANTS = { c = KEYS[25], h = KEYS[26], n = KEYS[27], l = KEYS[28] }, KEYS[20]
local HELD = 1e15

local function lex(tenant) return '[' .. tenant .. '\0', '(' .. tenant .. '\1' end

local function next_turn(level)
  local last = redis.call('ZREVRANGEBYSCORE', TURNS[level], '(1e15', '-inf', 'WITHSCORES', 'LIMIT', 0, 1)
  return math.floor(tonumber(last[2] or 0)) + 1
end

-- Tenants take their turns after all others; with 'NX', whoever has a place keeps it.
local function join(level, tenants, option)
  if #tenants == 0 then return end
  local turn, rows = next_turn(level) - 1, {}
  for i, tenant in ipairs(tenants) do rows[i * 2 - 1], rows[i * 2] = turn + i, tenant end
  redis.call('ZADD', TURNS[level], option or 'XX', unpack(rows))
end

-- A tenant without ready tasks takes no turns.
local function leave(level, tenant)
  if redis.call('ZLEXCOUNT', FAIR[level], lex(tenant)) == 0 then redis.call('ZREM', TURNS[level], tenant) end
end

-- Puts ready tasks of tenants where they are shared out, if they are; answers the others.
local function share(ids, records)
  if #ids == 0 or not quantum() then return ids, records end
  local others, rest, sets, tenants, seen = {}, {}, {}, {}, {}
  for i, id in ipairs(ids) do
    local record = records[i] or ''
    local level, tenant = string.sub(record, 1, 1), attribute(record, 't')
    if tenant and READY[level] then
      local set, names = sets[level] or {}, tenants[level] or {}
      sets[level], tenants[level] = set, names
      set[#set + 1], set[#set + 2] = 0, tenant .. '\0' .. id
      if not seen[level .. tenant] then names[#names + 1], seen[level .. tenant] = tenant, true end
    else
      others[#others + 1] = id
      rest[#others] = record
    end
  end
  for _, level in ipairs(LEVELS) do
    many('ZADD', FAIR[level], sets[level] or {})
    join(level, tenants[level] or {}, 'NX')
  end
  return others, rest
end
