-- Purpose: counts and ages of the queue.
-- Laws: Q-L2: created is the sum of everything else.
-- KEYS: as in keys.lua.
-- ARGV: as in lib.lua.
-- Returns: ready tasks of the four levels, active, delayed, parked, dead, age of the oldest head in milliseconds (-1
--          when nothing is ready), paused, created, completed, cancelled, purged, failed, crashed, waiting,
--          workers and their places, retried, expired, bytes.
-- Bound: counters, 16 elements of each level, the heads of 16 tenants, 256 workers, and the weight of 30 keys.
local meta = redis.call('HMGET', META, 'paused', 'created', 'completed', 'cancelled', 'purged',
  'gone_c', 'gone_h', 'gone_n', 'gone_l', 'failed', 'crashed', 'retried', 'expired')
local reply, oldest = {}, now + 1
for i, level in ipairs(LEVELS) do
  reply[i] = math.max(redis.call('LLEN', READY[level]) - tonumber(meta[5 + i] or 0), 0)
  local heads = reply[i] > 0 and redis.call('LRANGE', READY[level], -16, -1) or {}
  local records = #heads > 0 and redis.call('HMGET', TASKS, unpack(heads)) or {}
  for j = #heads, 1, -1 do
    if records[j] then
      oldest = math.min(oldest, tonumber(string.match(records[j], '^%l(%d+)')) or now)
      break
    end
  end
  local shared = redis.call('ZCARD', FAIR[level])
  reply[i] = reply[i] + shared
  for _, tenant in ipairs(shared > 0 and redis.call('ZRANGE', TURNS[level], 0, 15) or {}) do
    local low, high = lex(tenant)
    local member = redis.call('ZRANGEBYLEX', FAIR[level], low, high, 'LIMIT', 0, 1)[1] or ''
    local record = redis.call('HGET', TASKS, string.match(member, '%z(.*)$') or '')
    if record then oldest = math.min(oldest, tonumber(string.match(record, '^%l(%d+)')) or now) end
  end
end
for i, key in ipairs({ LEASE, DELAYED, PARKED, DEAD }) do reply[4 + i] = redis.call('ZCARD', key) end
reply[9] = oldest > now and -1 or now - oldest
reply[10] = meta[1] == '1' and 1 or 0
for i = 2, 5 do reply[9 + i] = tonumber(meta[i] or 0) end
reply[15], reply[16] = tonumber(meta[10] or 0), tonumber(meta[11] or 0)
reply[17] = redis.call('HLEN', KEYS[16])
reply[18], reply[19] = count_workers()
reply[20], reply[21], reply[22] = tonumber(meta[12] or 0), tonumber(meta[13] or 0), 0
for _, key in ipairs(KEYS) do
  local bytes = redis.pcall('MEMORY', 'USAGE', key, 'SAMPLES', 5)
  -- Nothing of a key that is not there, and an error where an operator does not let us ask.
  if type(bytes) == 'number' then reply[22] = reply[22] + bytes end
end
return reply
