-- Ends a session.
-- Laws: S-L3 no resurrection, S-L11 repeatable.
-- KEYS 1 the record, 2 the index of the user
-- ARGV 1 session id, 2 hash of the secret, or empty when the user's right is known by other means
-- Returns 1 when there was one to end, 0 otherwise
-- Bound: O(log n) in the sessions of the user, plus the size of the record.
local word = judge()
if word == 'gone' then
  destroy()
  return 0
end
if word == 'unknown' and secret ~= '' then return 0 end
destroy()
return 1
