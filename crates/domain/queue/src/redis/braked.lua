-- Purpose: whether the brake holds a user's tasks.
-- Laws: Q-L11.
-- KEYS, ARGV: as in keys.lua and lib.lua.
-- Returns: nothing; it defines a function.
-- Bound: two look-ups for each user, once.

-- `count` is the number of engaged brakes: usually none.
local known = {}
local function is_braked(user, count)
  if count == 0 then return false end
  for _, scope in ipairs({ EVERYONE, user }) do
    if known[scope] == nil then
      local state = scope ~= '' and redis.call('HGET', BRAKE, scope)
      known[scope] = state and string.sub(state, 1, 1) == 'p' or false
    end
  end
  return known[EVERYONE] or known[user]
end
