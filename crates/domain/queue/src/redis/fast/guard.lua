-- Purpose: leaves a queue in which anything is unusual to step.lua, before anything is written.
-- Laws: those that step.lua names and the fast step does not.
-- KEYS: as in fast/keys.lua.
-- ARGV: 6 stall threshold in milliseconds.
-- Returns: nothing, and nothing was done, when limits, a brake, a pause, orders, unique keys, tenants or dependencies are
--          in use, ids of cancelled tasks stand in a list, or something is due.
-- Bound: four commands.
local DELAYED, LEASE, OWN, CRASH, DONE = KEYS[8], KEYS[9], KEYS[10], KEYS[11], 16
local meta = redis.call('HMGET', META, 'last_step', 'grace_until', 'policy', 'paused', 'braked', 'gone_c', 'gone_h',
  'gone_n', 'gone_l')
local last_step, threshold = tonumber(meta[1]), tonumber(ARGV[6])
if last_step and now - last_step > threshold or tonumber(meta[2] or 0) > now then return end
for i = 3, 9 do
  if meta[i] and meta[i] ~= '0' then return end
end
if redis.call('EXISTS', unpack(KEYS, 12, 16)) > 0 then return end
local due = tonumber(redis.call('ZRANGE', DELAYED, '0', '0', 'WITHSCORES')[2])
local head_id, ends = unpack(redis.call('ZRANGE', LEASE, '0', '0', 'WITHSCORES'))
ends = tonumber(ends)
if due and due <= now or ends and ends <= now then return end
