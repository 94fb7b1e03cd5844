-- Purpose: tasks that come up too late are not handed out.
-- Laws: Q-L2, Q-L16.
-- KEYS: as in keys.lua.
-- ARGV: 3 worker, 4 its lease in milliseconds.
-- Returns: nothing; it defines functions for claim.lua, the second of which answers ids and fences that the caller
--          settles as cancelled.
-- Bound: 64 tasks with one ZADD each; three commands for all of them.

local function is_expired(record)
  local at = tonumber(attribute(record, 'x') or nil)
  return at and at <= now
end

-- Only the caller knows the buckets of their final records, when it has their ids. Until it comes back they are under
-- lease with an order to cancel, so that whoever comes next ends them when it does not.
local function expire(tasks)
  local owns, orders, late = {}, {}, {}
  if #tasks == 0 then return late end
  local fence = redis.call('HINCRBY', META, 'fence', #tasks) - #tasks
  for i, task in ipairs(tasks) do
    if redis.call('ZADD', LEASE, 'NX', now + ARGV[4], task.id) == 1 then
      late[#late + 1], late[#late + 2] = task.id, fence + i
      owns[#owns + 1] = task.id
      owns[#owns + 1] = string.format('%d|%d|%s|%s\n%s', fence + i, now, ARGV[3], task.user, task.line)
      orders[#orders + 1], orders[#orders + 2] = task.id, 'expire:expired before it started'
    end
  end
  many('HSET', OWN, owns)
  many('HSET', ORDERS, orders)
  tally('expired', #late / 2)
  return late
end
