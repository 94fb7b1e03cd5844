-- Purpose: claimed tasks get a lease and a fence.
-- Laws: Q-L3, also when an element stands in a list twice.
-- KEYS: as in lib.lua.
-- ARGV: 3 worker, 4 its lease in milliseconds.
-- Returns: nothing; it defines a function for claim.lua.
-- Bound: 256 tasks, four variadic commands.
local function lease(ids, records)
  local rows, leases, owns = {}, {}, {}
  if #ids == 0 then return rows, 0 end
  local crashes = redis.call('EXISTS', CRASH) == 1 and redis.call('HMGET', CRASH, unpack(ids)) or {}
  local active = redis.call('HMGET', OWN, unpack(ids))
  local first = redis.call('HINCRBY', META, 'fence', #ids) - #ids
  local started = '|' .. string.format('%.0f', now) .. '|' .. ARGV[3] .. '|'
  for i, id in ipairs(ids) do
    if not active[i] and not owns[id] then
      local length, user = string.match(records[i], '^%l%d+:?(%d*) (%S*) ')
      length = tonumber(length) or tonumber(ARGV[4])
      leases[#leases + 1], leases[#leases + 2] = now + length, id
      owns[#owns + 1], owns[#owns + 2] = id, string.format('%.0f', first + i) .. started .. user
      owns[id] = true
      rows[#rows + 1], rows[#rows + 2], rows[#rows + 3] = id, tonumber(crashes[i] or 0), first + i
      rows[#rows + 1], rows[#rows + 2] = length, records[i]
    end
  end
  many('ZADD', LEASE, leases)
  many('HSET', OWN, owns)
  return rows, first
end
