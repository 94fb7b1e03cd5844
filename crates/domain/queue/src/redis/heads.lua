-- Purpose: tasks return to the heads of their levels, so that the first given is handed out first.
-- Laws: Q-L5, Q-L6, Q-L9, Q-L11.
-- KEYS, ARGV: as in lib.lua.
-- Returns: nothing; it defines a function.
-- Bound: one RPUSH per level.
local function to_heads(ids, records)
  local lists = { c = {}, h = {}, n = {}, l = {} }
  for i = #ids, 1, -1 do
    local list = lists[string.sub(records[ids[i]], 1, 1)] or lists.n
    list[#list + 1] = ids[i]
  end
  for _, level in ipairs(LEVELS) do many('RPUSH', READY[level], lists[level]) end
end

-- Whether tasks of this user are held back. `count` is the number of engaged brakes: usually none.
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
