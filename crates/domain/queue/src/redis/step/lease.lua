-- Purpose: claimed tasks get a lease and a fence.
-- Laws: Q-L3, also when an element stands in a list twice.
-- KEYS: as in keys.lua.
-- ARGV: 3 worker, 4 its lease in milliseconds.
-- Returns: nothing; it defines a function for claim.lua, which answers the first fence (the others follow it), id and
--          record of each task, the place and number of crashes of those that had any; and when the first lease ends.
-- Bound: 256 tasks, four variadic commands.

-- A set that begins small is searched from end to end with each change. One that begins with a long member is not, for
-- as long as it lives.
local LONG = string.rep(' ', 65)

local function lease(found)
  local ids, rows, leases, owns, crashed = found.id, {}, {}, {}, {}
  if #ids == 0 then return { 0, rows, crashed } end
  local crashes = redis.call('EXISTS', CRASH) == 1 and redis.call('HMGET', CRASH, unpack(ids))
  local fence = string.format('%d', redis.call('HINCRBY', META, 'fence', #ids) - #ids + 1)
  local started = '|' .. string.format('%d', now) .. '|' .. ARGV[3] .. '|'
  local usual, shortest = string.format('%d', now + ARGV[4]), tonumber(ARGV[4])
  for i, id in ipairs(ids) do
    local length = found.length[i]
    if length ~= '' then shortest = math.min(shortest, tonumber(length)) end
    leases[i * 2 - 1], leases[i * 2] = length == '' and usual or string.format('%d', now + length), id
  end
  local grows = #ids > 8 and redis.call('EXISTS', LEASE) == 0
  if grows then redis.call('ZADD', LEASE, 0, LONG) end
  -- Whoever has a lease keeps it.
  local held = redis.call('ZADD', LEASE, 'NX', unpack(leases)) < #ids and {} or nil
  if held then
    for i, own in ipairs(redis.call('HMGET', OWN, unpack(ids))) do held[ids[i]] = own end
  end
  if grows then redis.call('ZREM', LEASE, LONG) end
  local taken = 0
  for i, id in ipairs(ids) do
    if not held or not held[id] then
      owns[taken * 2 + 1], rows[taken * 2 + 1] = id, id
      owns[taken * 2 + 2] = string.format('%d', fence + taken) .. started .. found.user[i] .. '\n' .. found.line[i]
      rows[taken * 2 + 2] = found.record[i]
      if crashes and crashes[i] then crashed[#crashed + 1], crashed[#crashed + 2] = taken, tonumber(crashes[i]) end
      if held then held[id] = true end
      taken = taken + 1
    end
  end
  many('HSET', OWN, owns)
  return { tonumber(fence), rows, crashed }, now + shortest
end
