-- Purpose: the step of a queue where nothing is unusual, in one piece. What defines functions costs the server more than
--          what runs commands, each time; this is what nearly every step of nearly every queue is.
-- Laws: Q-L2 to Q-L5, Q-L14.
-- KEYS: as in fast/keys.lua.
-- ARGV: 3 worker, 4 its lease in milliseconds, 5 credits; from 6 on as guard.lua and complete.lua say.
-- Returns: as step.lua, with 2 instead of missing ids when a task that is next is left to step.lua.
-- Bound: 64 tasks of each, about 20 commands.
local credits, is_odd = tonumber(ARGV[5]), false
local found = { id = {}, record = {}, line = {}, length = {}, user = {} }
local ids, others = found.id, credits > 0 and redis.call('EXISTS', READY.c, READY.h, READY.l) > 0
for _, level in ipairs(LEVELS) do
  local asked = (others or level == 'n') and not is_odd and credits - #ids or 0
  -- The plain list may be another program's, so this is the first to write.
  local popped = asked > 0 and redis.call('RPOP', READY[level], asked) or {}
  local records = #popped > 0 and redis.call('HMGET', TASKS, unpack(popped))
  for i, id in ipairs(popped) do
    local line, length, user, at = string.match(records[i] or '', '^(%l%d+:?(%d*) (%S*) {"?(@?)[^\n]*\n)')
    if not line or at == '@' then
      is_odd = true
      for back = #popped, i, -1 do redis.call('RPUSH', READY[level], popped[back]) end
      break
    end
    local n = #ids + 1
    ids[n], found.record[n], found.line[n], found.length[n], found.user[n] = id, records[i], line, length, user
  end
end
local rows, earliest = lease(found)

many('ZREM', LEASE, done)
many('HDEL', OWN, done)
for bucket, bundle in pairs(finals) do
  redis.call('HSET', KEYS[DONE + bucket], unpack(bundle))
  redis.call('PEXPIRE', KEYS[DONE + bucket], string.format('%d', RETENTION + 1))
end
if many('HDEL', TASKS, done) > 0 then redis.call('HINCRBY', META, 'completed', #done) end
-- Noted now and then, as reap.lua does.
if not last or (now - last) * 16 > threshold then redis.call('HSET', META, 'last_step', now) end

local is_ready = #ids == credits and redis.call('EXISTS', READY.c, READY.h, READY.n, READY.l) > 0
if is_ready then wake() end
if head[1] and not ends then ends = tonumber(redis.call('ZRANGE', LEASE, 0, 0, 'WITHSCORES')[2]) end
local next_due = math.min(due or math.huge, ends or math.huge, earliest or math.huge)
next_due = next_due == math.huge and -1 or math.max(next_due - now, 0)
return { states, {}, rows, next_due, (is_ready or is_odd) and 1 or 0, 0, now, is_odd and 2 or 0, {}, 0, {}, {}, 0,
  ended_attempts }
