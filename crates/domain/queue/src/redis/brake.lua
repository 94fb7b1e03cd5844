-- Purpose: applies a change of the brake.
-- Laws: Q-L11: an older or equal revision changes nothing.
-- KEYS: as in keys.lua.
-- ARGV: 3 user, or nothing for everyone, 4 'p' engaged or 'r' released, 5 revision.
-- Returns: 1 when it was applied, else 0.
-- Bound: one entry, and four others.
must_write()
local scope = ARGV[3] == '' and EVERYONE or ARGV[3]
local state, revision = string.match(redis.call('HGET', BRAKE, scope) or 'r', '^(%l)(%d*)')
-- Revisions are compared as text, because a number of Lua does not hold all of them.
if #ARGV[5] < #revision or (#ARGV[5] == #revision and ARGV[5] <= revision) then return 0 end
redis.call('HSET', BRAKE, scope, ARGV[4] .. ARGV[5] .. (ARGV[4] == 'r' and string.format('@%.0f', now) or ''))
local change = (ARGV[4] == 'p' and 1 or 0) - (state == 'p' and 1 or 0)
local engaged = redis.call('HINCRBY', META, 'braked', change)
-- What is released is remembered for a day, so that a late message about it stays without effect. A few are looked at
-- with each change, more than a change adds, so that the hash does not grow for ever while a brake is on.
local some = redis.call('HRANDFIELD', BRAKE, 4, 'WITHVALUES')
for i = 1, #some, 2 do
  local at = tonumber(string.match(some[i + 1], '^r%d+@(%d+)$'))
  if at and at + 86400000 < now then redis.call('HDEL', BRAKE, some[i]) end
end
if engaged > 0 then redis.call('PERSIST', BRAKE) else redis.call('EXPIRE', BRAKE, 86400) end
return 1
