-- Purpose: final records that are kept for a time of their own.
-- Laws: Q-L14, Q-L19.
-- KEYS: as in keys.lua; the hash of such records follows each done bucket.
-- ARGV: nothing of its own.
-- Returns: nothing; it defines a function.
-- Bound: three commands for each bucket, when any task of the queue ever asked for it; else one.

-- Writes those of the final records that have a time of their own, and answers the others.
local function keep(bucket, bundle)
  if not keeps() then return bundle end
  local others, kept, longest = {}, {}, 0
  for i = 1, #bundle, 2 do
    local retention = own_retention(bundle[i + 1])
    local left = retention and tonumber(string.match(bundle[i + 1], '^%d+')) + retention - now
    if not left then
      others[#others + 1], others[#others + 2] = bundle[i], bundle[i + 1]
    elseif left > 0 then
      kept[#kept + 1], kept[#kept + 2] = bundle[i], bundle[i + 1]
      longest = math.max(longest, left)
    end
  end
  if #kept > 0 then
    local key = KEYS[DONE + bucket + 1]
    redis.call('HSET', key, unpack(kept))
    if redis.call('PTTL', key) <= longest then redis.call('PEXPIRE', key, string.format('%.0f', longest + 1)) end
  end
  return others
end
