-- Purpose: notes what was observed of alerts, and answers the changes that the caller must tell people of.
-- Laws: A-L1, A-L2, A-L3.
-- KEYS: 1 the hash of alerts.
-- ARGV: 1 milliseconds after which a change that nobody confirmed is answered again, 2 how long a resolved alert is
--       remembered; then three for each observation: field, 'f' firing or 'r' not, value and threshold.
-- Returns: field and record of each change.
-- Bound: 256 observations, one look-up and one write each.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local patience, remembered = tonumber(ARGV[1]), tonumber(ARGV[2])
local changes = {}

local function write(field, state, since, changed, measured)
  local record = string.format('%s %.0f %.0f %.0f 0 %s', state, since, changed, now, measured)
  redis.call('HSET', KEYS[1], field, record)
  changes[#changes + 1], changes[#changes + 2] = field, record
end

for i = 3, #ARGV, 3 do
  local field, seen, measured = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local known = redis.call('HGET', KEYS[1], field) or ''
  local state, since, changed, claimed, told, last = string.match(known, '^(%l) (%d+) (%d+) (%d+) (%d) (.*)$')
  state = state or 'r'
  if seen ~= state then
    write(field, seen, state == 'f' and tonumber(since) or now, now, measured)
  elseif told == '0' and tonumber(claimed) + patience < now then
    write(field, state, tonumber(since), tonumber(changed), last)
  elseif state == 'r' and changed and tonumber(changed) + remembered < now then
    redis.call('HDEL', KEYS[1], field)
  end
end
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', remembered))
return changes
