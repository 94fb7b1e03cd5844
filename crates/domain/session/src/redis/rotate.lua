-- Replaces the secret.
-- Laws: S-L5 one chain, S-L6 reuse, S-L7 privilege change, S-L11 repeatable.
-- KEYS 1 the record, 2 the index of the user
-- ARGV 1 session id, 2 hash of the secret, 3 hash of the next, 4 salt of the next, 5 milliseconds for which the one before is
--   known, 6 whether it is honoured meanwhile: 1, or 0 for a change of privileges
-- Returns { word } or { word, version, user, created, seen, idle, absolute, context, device, salt }; the salt is that of the
--   secret that holds now
-- Bound: O(log n) in the sessions of the user, plus the size of the record.
local next_hash, salt, grace, honoured = ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6]
-- Of the secrets that were replaced, that many are recognised: 64 + 1 + 15 + 1 + 1 + 1 characters each, last one first.
local KNOWN, WIDTH = 16, 83

local word = judge()
local is_latest = string.sub(session.old or '', 1, 64) == secret
if word ~= 'gone' and session.hash == next_hash and is_latest then
  session.salt = salt
  return answer('active')
end
if word == 'late' then
  -- The answer of the rotation was lost, or the client asked many times at once: all get the same secret.
  local is_repeatable = is_latest and session.salt and honoured == '1'
  return is_repeatable and answer('active') or { 'superseded' }
end
if word == 'reused' then destroy() end
if word ~= 'active' then return { word } end

local replaced = string.format('%s %015.0f %s;', secret, now + grace, honoured)
local old = string.sub(replaced .. session.old, 1, KNOWN * WIDTH)
redis.call('HSET', KEYS[1], 'hash', next_hash, 'old', old)
if honoured == '1' then redis.call('HSET', KEYS[1], 'salt', salt) else redis.call('HDEL', KEYS[1], 'salt') end
touch()
session.salt = salt
return answer('active')
