-- Purpose: what the completions of the fast step will write.
-- Laws: Q-L4, Q-L14.
-- KEYS: as in fast/keys.lua.
-- ARGV: 7 number of completions, then of each the id, fence, done bucket and result; then what ended_attempts.lua says.
-- Returns: nothing, and nothing was done, when a lease is lost or a task has attributes.
-- Bound: 64 completions, one command.
local done, states, finals, own = {}, {}, {}, {}
for i = 1, tonumber(ARGV[7]) do done[i] = ARGV[4 + i * 4] end
if #done > 0 then own = redis.call('HMGET', OWN, unpack(done)) end
for i, id in ipairs(done) do
  local at, line = 4 + i * 4, own[i] or ''
  if string.match(line, '^(%d+)|[^\n]*\n') ~= ARGV[at + 1] or string.find(line, ' {"@":"', 1, true) or states[id] then
    return
  end
  local bucket = finals[ARGV[at + 2]] or {}
  finals[ARGV[at + 2]], states[i], states[id] = bucket, 'c', true
  bucket[#bucket + 1], bucket[#bucket + 2] = id, string.format('%d c ', now) .. line .. ARGV[at + 3]
  if id == head[1] then ends = nil end
  note_attempt(i, line)
end
