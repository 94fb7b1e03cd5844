-- Purpose: a worker's round trip: settle, renew, promote, reap, claim.
-- Laws: Q-L2 to Q-L13, Q-L21, Q-L22, Q-L25 to Q-L28, Q-L31.
-- KEYS: as in keys.lua.
-- ARGV: 3 worker, 4 lease in milliseconds, 5 credits, 6 crashes that make a dead letter, 7 stall threshold, 8 stall
--       grace, 9 settlements, 10 renewals, 11 spare ids; then these, as settle.lua, renew.lua, adopt.lua and next.lua say.
-- Returns: settled, renewed, claimed (as lease.lua says), milliseconds until something is due (-1 never), whether
--          ready tasks remain that may be asked for, whether the queue is paused, the time, whether spare ids were
--          missing, cancelled tasks whose lease ended, whether limits hold back, doomed, brought, messages, ended attempts.
-- Bound: 256 of each; the sum of the parts.
local meta = redis.call('HMGET', META, 'paused', 'braked', 'last_step', 'grace_since', 'grace_until',
  'gone_c', 'gone_h', 'gone_n', 'gone_l', 'kept', 'policy')
has_kept = meta[10] == '1'
read_rules(meta[11])
local paused, braked, is_limited = meta[1] == '1', tonumber(meta[2] or 0), next(rules)
local settlements, renewals = tonumber(ARGV[9]), tonumber(ARGV[10])
local spares = { at = 12 + settlements * 6 + renewals * 3 }
spares.last = spares.at + ARGV[11] - 1

-- With the memory full, a queue must be worked off more than ever.
check_list()
if settlements == 0 then must_write() end
local settled, brought = settle_all(settlements, 12, spares.last + 1)
local renewed = renew(renewals, 12 + settlements * 6, braked)
local due = promote()
local since, until_ = grace(tonumber(meta[3]), tonumber(meta[4]), tonumber(meta[5]))
local head = tonumber(redis.call('ZRANGE', LEASE, 0, 0, 'WITHSCORES')[2])
local cancelled, is_pending = reap(since, until_, head), resolve(64)

local depth, gone, ready = {}, {}, 0
for i, level in ipairs(LEVELS) do
  depth[level], gone[level] = redis.call('LLEN', READY[level]), tonumber(meta[5 + i] or 0)
end
local rows, missing, earliest, late = { 0, {}, {}, {} }, false, nil, {}
local credits, claim_some = tonumber(ARGV[5]), is_limited and claim_within or claim
if not paused and credits > 0 then rows, missing, earliest, late = claim_some(credits, braked, depth, gone, spares) end
for i, level in ipairs(LEVELS) do
  if is_limited then depth[level] = redis.call('LLEN', READY[level]) end
  if depth[level] == 0 then gone[level] = 0 end
  if gone[level] ~= tonumber(meta[5 + i] or 0) then redis.call('HSET', META, 'gone_' .. level, math.max(gone[level], 0)) end
  depth[level] = math.max(depth[level] - math.max(gone[level], 0), 0)
  ready = ready + depth[level]
end
local is_free, free_at = true, nil
if is_limited then
  ready = ready + in_sets()
  if ready > 0 then is_free, free_at = is_open(depth) end
end
if ready > 0 and is_free and not paused then wake() end

local ends = head
-- The first lease was taken back; there may be no other.
if head and head <= now then ends = tonumber(redis.call('ZRANGE', LEASE, 0, 0, 'WITHSCORES')[2]) end
for _, word in ipairs(late) do cancelled[#cancelled + 1] = word end
if earliest then ends = math.min(ends or earliest, earliest) end
if ends and now < until_ and ends > since then ends = math.max(ends, until_) end
local next_due = math.min(due or math.huge, told_due or math.huge, ends or math.huge, not paused and free_at or math.huge)
next_due = is_pending and 0 or next_due == math.huge and -1 or math.max(next_due - now, 0)
return { settled, renewed, rows, next_due, ready > 0 and (is_free or paused) and 1 or 0, paused and 1 or 0, now,
  missing and 1 or 0, cancelled, is_free and 0 or 1, doomed(), brought, has_messages(), ended_attempts }
