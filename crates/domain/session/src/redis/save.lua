-- Replaces the context when its version is the expected one.
-- Laws: S-L3 no resurrection, S-L4 no lost update, S-L6 reuse.
-- KEYS 1 the record, 2 the index of the user
-- ARGV 1 session id, 2 hash of the secret, 3 the version that is replaced, 4 the context
-- Returns { word } or { word, version, user, created, seen, idle, absolute, context, device, salt }; word is conflict when
--   the version is another one
-- Bound: O(log n) in the sessions of the user, plus the size of the record.
local word = judge()
if word == 'reused' then destroy() end
if word ~= 'active' and word ~= 'late' then return { word } end
if session.version ~= ARGV[3] then return answer(word == 'late' and 'late_conflict' or 'conflict') end

session.version, session.context = int(tonumber(session.version) + 1), ARGV[4]
redis.call('HSET', KEYS[1], 'version', session.version, 'context', session.context)
touch()
return answer(word)
