-- Purpose: walks an index: entries whose task has no record are dropped; a holder without a lease loses the task.
-- Laws: Q-L9, Q-L30.
-- KEYS: as in keys.lua.
-- ARGV: 3 name of the index, 4 cursor, 5 how many entries, about.
-- Returns: the next cursor, how many entries were looked at, how many were put right.
-- Bound: as many entries as asked for, or those of an index in its compact form (512 by the server's default); two
--        commands each.
local INDEXES = { delayed = DELAYED, parked = PARKED, lease = LEASE, own = OWN, dead = DEAD }
INDEXES.waiting, INDEXES.tenants = KEYS[16], KEYS[20]
local index = INDEXES[ARGV[3]]
-- A tenant's active tasks are counted by their holders.
local named = index == KEYS[20] and OWN or TASKS
local is_hash = ARGV[3] == 'own' or ARGV[3] == 'waiting'
local page = redis.call(is_hash and 'HSCAN' or 'ZSCAN', index, ARGV[4], 'COUNT', ARGV[5])
local ghosts, ended = {}, {}
for i = 1, #page[2], 2 do
  local member = page[2][i]
  local id = string.match(member, '[^%z]*$')
  if redis.call('HEXISTS', named, id) == 0 then
    ghosts[#ghosts + 1] = member
  elseif index == OWN and not redis.call('ZSCORE', LEASE, id) then
    -- Without the end of a lease nobody would ever take it back. Its holder, if it lives, may still settle or renew.
    ended[#ended + 1], ended[#ended + 2] = string.format('%d', now), id
  end
end
many(is_hash and 'HDEL' or 'ZREM', index, ghosts)
many('ZADD', LEASE, ended)
return { page[1], #page[2] / 2, #ghosts + #ended / 2 }
