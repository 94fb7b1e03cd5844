-- Purpose: a worker's round trip: settle, renew, promote, reap, claim.
-- Laws: Q-L2 to Q-L13.
-- KEYS: as in lib.lua.
-- ARGV: 3 worker, 4 lease in milliseconds, 5 credits, 6 crashes that make a dead letter, 7 stall threshold, 8 stall
--       grace, 9 settlements, 10 renewals, 11 spare ids; then these, as settle.lua, renew.lua and adopt.lua say.
-- Returns: settled, renewed, claimed (as lease.lua says), milliseconds until something is due (-1 never), whether
--          ready tasks remain, whether the queue is paused, the time, whether spare ids were missing, and ids and
--          fences of cancelled tasks whose lease ended.
-- Bound: 256 of each; the sum of the parts.
local meta = redis.call('HMGET', META, 'paused', 'braked', 'last_step', 'grace_since', 'grace_until',
  'gone_c', 'gone_h', 'gone_n', 'gone_l', 'kept')
has_kept = meta[10] == '1'
local paused, braked = meta[1] == '1', tonumber(meta[2] or 0)
local settlements, renewals = tonumber(ARGV[9]), tonumber(ARGV[10])
local spares = { at = 12 + settlements * 6 + renewals * 3 }
spares.last = spares.at + ARGV[11] - 1

-- With the memory full, a queue must be worked off more than ever.
check_list()
if settlements == 0 then must_write() end
local settled = settle(settlements, 12)
local renewed = renew(renewals, 12 + settlements * 6, braked)
local due = promote()
local since, until_ = grace(tonumber(meta[3]), tonumber(meta[4]), tonumber(meta[5]))
local head = tonumber(redis.call('ZRANGE', LEASE, 0, 0, 'WITHSCORES')[2])
local cancelled = reap(since, until_, head)

local depth, gone, ready = {}, {}, 0
for i, level in ipairs(LEVELS) do
  depth[level], gone[level] = redis.call('LLEN', READY[level]), tonumber(meta[5 + i] or 0)
end
local rows, missing, earliest, late = { 0, {}, {} }, false, nil, {}
local credits = tonumber(ARGV[5])
if not paused and credits > 0 then rows, missing, earliest, late = claim(credits, braked, depth, gone, spares) end
for i, level in ipairs(LEVELS) do
  if depth[level] == 0 then gone[level] = 0 end
  if gone[level] ~= tonumber(meta[5 + i] or 0) then redis.call('HSET', META, 'gone_' .. level, math.max(gone[level], 0)) end
  ready = ready + math.max(depth[level] - math.max(gone[level], 0), 0)
end
if ready > 0 and not paused then wake() end

local ends = head
-- The first lease was taken back; there may be no other.
if head and head <= now then ends = tonumber(redis.call('ZRANGE', LEASE, 0, 0, 'WITHSCORES')[2]) end
for _, word in ipairs(late) do cancelled[#cancelled + 1] = word end
if earliest then ends = math.min(ends or earliest, earliest) end
if ends and now < until_ and ends > since then ends = math.max(ends, until_) end
local next_due = math.min(due or math.huge, ends or math.huge)
next_due = next_due == math.huge and -1 or math.max(next_due - now, 0)
return { settled, renewed, rows, next_due, ready > 0 and 1 or 0, paused and 1 or 0, now, missing and 1 or 0, cancelled }
