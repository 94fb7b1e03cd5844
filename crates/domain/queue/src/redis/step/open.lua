-- Purpose: whether a claim could be handed something, so that nobody asks a queue that is at its limits.
-- Laws: Q-L15, Q-L25, Q-L26.
-- KEYS, ARGV: as in keys.lua and lib.lua.
-- Returns: nothing; it defines functions.
-- Bound: four commands for each level.

-- Whether something could be handed out now; if not, when it could where time alone decides that. `plain` has how many
-- tasks wait in each list.
local function is_open(plain)
  local most, at = room()
  if most == 0 then return false, at end
  for _, level in ipairs(LEVELS) do
    if plain[level] > 0 then return true end
    local till = string.format('%.0f', HELD + now)
    for _, tenant in ipairs(redis.call('ZRANGEBYSCORE', TURNS[level], '-inf', till, 'LIMIT', 0, 2)) do
      if tenant ~= '' then return true end
    end
    local held = redis.call('ZRANGEBYSCORE', TURNS[level], '(' .. till, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    if held[2] then at = math.min(at or math.huge, tonumber(held[2]) - HELD) end
  end
  return false, at
end

-- How many tasks wait in sets. When the last one is gone after the policy let go of turns, so is what remains of them.
local function in_sets()
  if not quantum() and not rule('o') then return 0 end
  local count = 0
  for _, level in ipairs(LEVELS) do count = count + redis.call('ZCARD', FAIR[level]) end
  if count == 0 and rule('o') then
    local text = string.gsub(redis.call('HGET', META, 'policy'), 'o1$', '')
    if text == '' then redis.call('HDEL', META, 'policy') else redis.call('HSET', META, 'policy', text) end
    redis.call('UNLINK', TURNS.c, TURNS.h, TURNS.n, TURNS.l)
  end
  return count
end
