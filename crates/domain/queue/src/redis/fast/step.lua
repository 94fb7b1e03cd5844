-- Purpose: the step of a queue where nothing is unusual, in one piece. What defines functions costs the server more than
--          what runs commands, each time; this is what nearly every step of nearly every queue is.
-- Laws: Q-L2 to Q-L5, Q-L14.
-- KEYS: as in fast/keys.lua.
-- ARGV: 3 worker, 4 its lease in milliseconds, 5 credits; from 6 on as guard.lua and complete.lua say.
-- Returns: as step.lua, with 2 instead of missing ids when a task that is next is left to step.lua.
-- Bound: 64 tasks of each, about 20 commands.
local has_crashes = redis.call('EXISTS', CRASH) == 1
local rows, earliest = lease({ id = ids, record = records, line = lines, length = lengths, user = users,
  has_crashes = has_crashes })

many('ZREM', LEASE, done)
many('HDEL', OWN, done)
store_finals()
-- Of an attempt before, whose worker was lost.
if has_crashes then many('HDEL', CRASH, done) end
if many('HDEL', TASKS, done) > 0 then redis.call('HINCRBY', META, 'completed', ARGV[7]) end
-- Noted now and then, as reap.lua does.
if not last_step or (now - last_step) * 16 > threshold then redis.call('HSET', META, 'last_step', now) end

local is_ready = #ids == credits and redis.call('EXISTS', READY.c, READY.h, READY.n, READY.l) > 0
if is_ready then wake() end
if head_id and not ends then ends = tonumber(redis.call('ZRANGE', LEASE, '0', '0', 'WITHSCORES')[2]) end
local next_due = math.min(due or math.huge, ends or math.huge, earliest or math.huge)
next_due = next_due == math.huge and -1 or math.max(next_due - now, 0)
return { {}, {}, rows, next_due, (is_ready or is_odd) and 1 or 0, 0, now, is_odd and 2 or 0, {}, 0, {}, {}, 0,
  ended_attempts }
