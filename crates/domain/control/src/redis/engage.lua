-- Puts a brake on.
-- Laws: A-L1 first pause counts, A-L2 revisions, A-L5 told, A-L6 looked at.
-- KEYS 1 the index of brakes, 2 the state of the scope (absent in Cluster, where project.lua writes it)
-- ARGV 1 scope, 2 reason, 3 by, 4 milliseconds until it ends by itself or 0, 5 the channel
-- Returns 0 unchanged, 1 changed or 2 newly on; the state as JSON; receivers; the message, to be published when KEYS 2 is absent
-- Bound: constant work.
local index, state_key = KEYS[1], KEYS[2]
local scope, reason, by, expires_in, channel = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]

local field = 'b:' .. scope
local stored = redis.call('HGET', index, field)
local brake = decode(stored)
local expires_ms = expires_in > 0 and now + expires_in or nil
local outcome = 1
if brake and (not brake.expires_ms or brake.expires_ms > now) then
  -- Of two expiries the later one holds, and none is later than any.
  local later = brake.expires_ms and expires_ms and math.max(brake.expires_ms, expires_ms) or nil
  if later == brake.expires_ms then
    -- Said again all the same when another program has removed the state meanwhile: the brake is on.
    if state_key and redis.call('EXISTS', state_key) == 0 then
      redis.call('SET', state_key, stored)
      if later then redis.call('PEXPIREAT', state_key, int(later)) end
    end
    return { 0, stored, 0, '' }
  end
  brake.expires_ms = later
else
  brake = { since_ms = now, reason = reason, by = by, expires_ms = expires_ms }
  outcome = 2
end

brake.revision = next_revision(index)
local members = brake_members(scope, brake)
local state = '{"paused":true,' .. members
local message = '{"event":"pause","at":"' .. iso(now) .. '",' .. members
redis.call('HSET', index, field, state)
if not state_key then return { outcome, state, 0, message } end

redis.call('SET', state_key, state)
if brake.expires_ms then redis.call('PEXPIREAT', state_key, int(brake.expires_ms)) end
return { outcome, state, redis.call('PUBLISH', channel, message), '' }
