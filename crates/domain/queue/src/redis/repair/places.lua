-- Purpose: tells where tasks without a place in the ready lists could be, and whether their records are still the same.
-- Laws: Q-L30.
-- KEYS, ARGV: as in keys.lua and lib.lua.
-- Returns: nothing; it defines functions.
-- Bound: 600 tasks; one variadic command for each place.

-- What changes whenever a task moves on in its life.
local function digest_of(record) return redis.sha1hex(string.match(record, '^[^\n]*')) end

-- By id, whether the task is anywhere but in a ready list. Whoever has a lease returns when it ends.
local function placed(ids, records)
  local has, parked, fair = {}, {}, {}
  local function note(found)
    for i, id in ipairs(ids) do has[id] = has[id] or found[i] end
  end
  for i, id in ipairs(ids) do
    local record = records[i] or ''
    parked[i] = (string.match(record, '^%S* (%S*)') or '') .. '\0' .. id
    fair[i] = (attribute(record, 't') or '') .. '\0' .. id
  end
  for _, key in ipairs({ OWN, KEYS[16] }) do note(redis.call('HMGET', key, unpack(ids))) end
  for _, key in ipairs({ LEASE, DELAYED, DEAD }) do note(redis.call('ZMSCORE', key, unpack(ids))) end
  note(redis.call('ZMSCORE', PARKED, unpack(parked)))
  for i = 21, 24 do
    if redis.call('EXISTS', KEYS[i]) == 1 then note(redis.call('ZMSCORE', KEYS[i], unpack(fair))) end
  end
  return has
end
