-- Takes a brake off.
-- Laws: A-L2 revisions, A-L4 release, A-L5 told, A-L8 foreign orders.
-- KEYS 1 the index of brakes, 2 the state of the scope (absent in Cluster, where project.lua removes it)
-- ARGV 1 scope, 2 why: ordered, expired or foreign, 3 the channel
-- Returns 1 changed or 0; the revision; receivers; the message, to be published when KEYS 2 is absent
-- Bound: constant work.
local index, state_key = KEYS[1], KEYS[2]
local scope, why, channel = ARGV[1], ARGV[2], ARGV[3]

local field = 'b:' .. scope
local brake = decode(redis.call('HGET', index, field))
local is_there = state_key and redis.call('EXISTS', state_key) == 1
local is_on = brake and (not brake.expires_ms or brake.expires_ms > now)
local may = brake
if why == 'expired' then may = brake and not is_on end
if why == 'foreign' then may = brake and not is_there end
-- A state that only another program has written is lifted by an order as well.
if why == 'ordered' and is_there then may = true end
if not may then return { 0, redis.call('HGET', index, 'rev') or '0', 0, '' } end

redis.call('HDEL', index, field)
local revision = int(next_revision(index))
local reason = why == 'expired' and '"expired"' or 'null'
local message = '{"event":"resume","at":"' .. iso(now) .. '","user_id":' .. text(scope) .. ',"reason":' .. reason
  .. ',"revision":' .. revision .. '}'
if not state_key then return { 1, revision, 0, message } end

redis.call('DEL', state_key)
return { 1, revision, redis.call('PUBLISH', channel, message), '' }
