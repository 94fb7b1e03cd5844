-- Purpose: what is known of a task.
-- Laws: Q-L14: the state follows from where the task is.
-- KEYS: as in keys.lua; 31 the done bucket of the id.
-- ARGV: 3 id.
-- Returns: nothing; or the final record; or state, record, owner and the time it is due or died (0 when neither).
-- Bound: one task.
local record = redis.call('HGET', TASKS, ARGV[3])
if not record then
  local ended = final(1, ARGV[3])
  return ended and { ended }
end
local state = place(ARGV[3], record)
local at = 0
if state == 'd' then at = redis.call('ZSCORE', DEAD, ARGV[3]) end
if state == 'f' or state == 'w' then at = redis.call('ZSCORE', DELAYED, ARGV[3]) end
return { state, record, redis.call('HGET', OWN, ARGV[3]) or '', tonumber(at) }
