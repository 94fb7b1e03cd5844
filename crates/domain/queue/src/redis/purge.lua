-- Purpose: removes dead letters; what remains is their status until its retention is over.
-- Laws: Q-L1, Q-L2, Q-L14.
-- KEYS: as in keys.lua; from 31 on the done buckets of the ids.
-- ARGV: from 3 on ids, each with its done bucket and the time of death that is meant, or nothing.
-- Returns: how many were dead.
-- Bound: 256 letters; three commands for each, and a few for each bucket.
local purged, finals = {}, {}
for i = 3, #ARGV, 3 do
  local id, died_at = ARGV[i], redis.call('ZSCORE', DEAD, ARGV[i])
  if died_at and (ARGV[i + 2] == '' or died_at == ARGV[i + 2]) then
    redis.call('ZREM', DEAD, id)
    local record = redis.call('HGET', TASKS, id) or '\n'
    local bundle = finals[ARGV[i + 1]] or {}
    finals[ARGV[i + 1]], purged[#purged + 1] = bundle, id
    bundle[#bundle + 1] = id
    bundle[#bundle + 1] = died_at .. ' d \n' .. (string.match(record, '^[^\n]*\n') or '\n')
  end
end
store_finals(finals, purged, { d = #purged })
return #purged
