-- Purpose: what the completions of the fast step will write.
-- Laws: Q-L4, Q-L14.
-- KEYS: as in fast/keys.lua.
-- ARGV: 7 number of completions, 8 number of results, which is none when all are empty; then the ids, no two of them
--       alike, what their owners begin with (the fence and '|'), the results, and the done buckets of the records: number
--       of runs, then of each the bucket and how many of the completions in their order. Last as ended_attempts.lua says.
-- Returns: nothing, and nothing was done, when a lease is lost or a task has attributes.
-- Bound: 64 completions, one command.
local count, results = tonumber(ARGV[7]), tonumber(ARGV[8])
local done, own, finals, ended = {}, {}, {}, string.format('%d c ', now)
if count > 0 then
  done = { unpack(ARGV, 9, 8 + count) }
  own = redis.call('HMGET', OWN, unpack(done))
  -- Only for its size: a table that grows is copied again and again.
  finals = { unpack(ARGV, 9, 8 + 2 * count) }
end
for i = 1, count do
  local line, id = own[i], done[i]
  if not line or find(line, ARGV[8 + count + i], 1, true) ~= 1 or not find(line, '\n', 1, true)
    or find(line, ' {"@":"', 1, true) then return end
  finals[i * 2 - 1], finals[i * 2] = id, ended .. line .. (results > 0 and ARGV[8 + 2 * count + i] or '')
  if id == head_id then ends = nil end
  if tells_attempts then note_attempt(i, line) end
end

local function store_finals()
  local from, at = 1, 9 + 2 * count + results
  for run = at + 1, at + 2 * ARGV[at], 2 do
    local bucket, last = KEYS[DONE + ARGV[run]], from + 2 * ARGV[run + 1] - 1
    redis.call('HSET', bucket, unpack(finals, from, last))
    redis.call('PEXPIRE', bucket, string.format('%d', RETENTION + 1))
    from = last + 1
  end
end
