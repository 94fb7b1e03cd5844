-- Puts an entry when its condition holds, ends its lease, and tells of it.
-- Laws: C-L1 as it was, C-L2 versions, C-L3 conditions, C-L5 one lease, C-L6 fenced fill, C-L7 repeatable, C-L9 told.
-- KEYS 1 the value, 2 its record, 3 its lease
-- ARGV 1 condition: always, absent, version, most or leased, 2 its version, 3 the writer, 4 kind, 5 ttl in ms,
--      6 time to be stale in ms, 7 stamp, 8 content type, 9 value, 10 channel, 11 and 12 the message around the version,
--      13 the message that nothing happened
-- Returns { 1, version, whether there was one before } or { 0, version that is there, its stamp }
-- Bound: O(1), plus the size of the value.
local condition, expected, writer, kind = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local ttl, stale, channel = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[10]

local record = read(redis.call('GET', KEYS[2]))
local left = redis.call('PTTL', KEYS[1])
local is_there = left ~= -2
if record.writer == writer and record.kind == kind then
  redis.call('PUBLISH', channel, ARGV[13])
  return { 1, record.version, 0 }
end

local holds = condition == 'always'
if condition == 'absent' then
  local is_ours = record.version and record.kind ~= 'd'
  holds = not is_there or (is_ours and left >= 0 and left <= tonumber(record.stale))
elseif condition == 'version' then
  holds = is_there and record.kind ~= 'd' and tonumber(record.version or 0) == expected
elseif condition == 'most' then
  holds = tonumber(record.version or 0) <= expected
elseif condition == 'leased' then
  holds = redis.call('GET', KEYS[3]) == writer
end
if not holds then
  redis.call('PUBLISH', channel, ARGV[13])
  return { 0, record.version or '0', record.kind ~= 'd' and record.stamp or '-' }
end

local time = server_time()
local version = version_after(record.version, time)
local fresh_until = string.format('%.0f', math.floor(time / 1000) + ttl)
local text = table.concat({ version, fresh_until, ARGV[6], kind, writer, ARGV[7], ARGV[8] }, ' ')
redis.call('SET', KEYS[1], ARGV[9], 'PX', ttl + stale)
redis.call('SET', KEYS[2], text, 'PX', ttl + stale)
redis.call('DEL', KEYS[3])
redis.call('PUBLISH', channel, ARGV[11] .. version .. ARGV[12])
return { 1, version, is_there and 1 or 0 }
