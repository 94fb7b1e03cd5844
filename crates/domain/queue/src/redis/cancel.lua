-- Purpose: calls a task off.
-- Laws: Q-L2, Q-L12, Q-L22.
-- KEYS: as in keys.lua; 31 the done bucket of the id.
-- ARGV: 3 id, 4 reason.
-- Returns: the state it had, or nothing when it is unknown.
-- Bound: one task, and 64 edges to those that wait for it.
local id, record = ARGV[3], redis.call('HGET', TASKS, ARGV[3])
if not record then
  local ended = final(1, id)
  return ended and string.match(ended, '^%d+ (%l)')
end
local state = place(id, record)
must_write()
if state == 'a' then
  redis.call('HSET', ORDERS, id, 'cancel:' .. ARGV[4])
elseif state ~= 'd' then
  local user = string.match(record, '^%S* (%S*)') or ''
  if state == 'p' then redis.call('ZREM', PARKED, user .. '\0' .. id) end
  if state == 'g' then unlink(id, record) end
  if state == 'f' or state == 'w' then redis.call('ZREM', DELAYED, id) end
  -- Finding it in the list would cost as much as the list is long: the claim skips an id without a record.
  if state == 'q' then
    local level, tenant = string.sub(record, 1, 1), attribute(record, 't')
    if tenant and redis.call('ZREM', FAIR[level], tenant .. '\0' .. id) == 1 then
      leave(level, tenant)
    else
      redis.call('HINCRBY', META, 'gone_' .. level, 1)
    end
  end
  local head = string.format('%.0f x \n', now)
  store_finals({ [1] = { id, head .. (string.match(record, '^[^\n]*\n') or '\n') .. ARGV[4] } }, { id }, { x = 1 })
  if resolve(64) then wake() end
end
return state
