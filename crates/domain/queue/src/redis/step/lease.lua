-- Purpose: claimed tasks get a lease and a fence.
-- Laws: Q-L3, also when an element stands in a list twice.
-- KEYS: as in lib.lua.
-- ARGV: 3 worker, 4 its lease in milliseconds.
-- Returns: nothing; it defines a function for claim.lua, which answers id, crashes, fence, lease and record of each task.
-- Bound: 256 tasks, four variadic commands.
local function lease(ids, found)
  local rows, leases, owns = {}, {}, {}
  if #ids == 0 then return rows end
  local crashes = redis.call('EXISTS', CRASH) == 1 and redis.call('HMGET', CRASH, unpack(ids)) or {}
  local fence = redis.call('HINCRBY', META, 'fence', #ids) - #ids
  local started = '|' .. now .. '|' .. ARGV[3] .. '|'
  for i, id in ipairs(ids) do
    leases[i * 2 - 1], leases[i * 2] = now + (tonumber(found.length[i]) or ARGV[4]), id
  end
  -- Whoever has a lease keeps it.
  local held = {}
  if redis.call('ZADD', LEASE, 'NX', unpack(leases)) < #ids then
    for i, own in ipairs(redis.call('HMGET', OWN, unpack(ids))) do held[ids[i]] = own end
  end
  for i, id in ipairs(ids) do
    if not held[id] then
      local n, m = #owns, #rows
      owns[n + 1], owns[n + 2] = id, (fence + i) .. started .. found.user[i]
      rows[m + 1], rows[m + 2], rows[m + 3] = id, tonumber(crashes[i] or 0), fence + i
      rows[m + 4], rows[m + 5] = leases[i * 2 - 1] - now, found.record[i]
      held[id] = true
    end
  end
  many('HSET', OWN, owns)
  return rows
end
