-- Purpose: replaces the limits of the queue.
-- Laws: Q-L25 to Q-L28.
-- KEYS: as in keys.lua.
-- ARGV: 3 the policy as policy.rs writes it, or nothing for none.
-- Returns: 1 when tenants are still held back by a limit that was; call again.
-- Bound: 64 tenants of each level.
must_write()
local before, policy = redis.call('HGET', META, 'policy') or '', ARGV[3]
read_rules(policy)
if not quantum() then
  -- What stands in sets is handed out in turns until there is nothing left.
  if redis.call('EXISTS', FAIR.c, FAIR.h, FAIR.n, FAIR.l) > 0 then
    policy = policy .. 'o1'
  else
    redis.call('UNLINK', TURNS.c, TURNS.h, TURNS.n, TURNS.l)
  end
end
if policy == '' then redis.call('HDEL', META, 'policy') else redis.call('HSET', META, 'policy', policy) end
if policy ~= before then redis.call('UNLINK', RATES) end
local more = 0
for _, level in ipairs(LEVELS) do
  if go_on(level, 8e15) == 64 then more = 1 end
end
-- There may be more to hand out now.
wake()
return more
