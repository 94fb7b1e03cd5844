-- Lets somebody in, and notes the use when the last noted one is long enough ago.
-- Laws: S-L1 as it was, S-L2 lifetimes, S-L3 no resurrection, S-L5 one chain, S-L6 reuse.
-- KEYS 1 the record, 2 the index of the user
-- ARGV 1 session id, 2 hash of the secret, 3 milliseconds within which a use is not noted
-- Returns { word } or { word, version, user, created, seen, idle, absolute, context, device, salt }
-- Bound: O(log n) in the sessions of the user, plus the size of the record.
local word = judge()
if word == 'reused' then destroy() end
if word ~= 'active' and word ~= 'late' then return { word } end

-- The new secret has arrived: from now on the one before cannot ask for it any more.
if word == 'active' and session.salt then redis.call('HDEL', KEYS[1], 'salt') end
if now - tonumber(session.seen) >= tonumber(ARGV[3]) then touch() end
return answer(word)
