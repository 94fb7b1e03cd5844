-- Removes an entry and its lease, remembers the version of that for a while, and tells of it.
-- Laws: C-L2 versions, C-L3 conditions, C-L5 one lease, C-L7 repeatable, C-L9 told.
-- KEYS 1 the value, 2 its record, 3 its lease
-- ARGV 1 condition: always or version, 2 its version, 3 the writer, 4 time to remember in ms, 5 channel,
--      6 and 7 the message around the version, 8 the message that nothing happened
-- Returns { 1, version, whether there was one before } or { 0, version that is there, its stamp }
-- Bound: O(1); the value is freed in the background.
local condition, expected, writer, channel = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[5]

local record = read(redis.call('GET', KEYS[2]))
if record.writer == writer and record.kind == 'd' then
  redis.call('PUBLISH', channel, ARGV[8])
  return { 1, record.version, tonumber(record.fresh_until) }
end
local is_there = redis.call('EXISTS', KEYS[1])
if condition == 'version' and
    (is_there == 0 or record.kind == 'd' or tonumber(record.version or 0) ~= expected) then
  redis.call('PUBLISH', channel, ARGV[8])
  return { 0, record.version or '0', record.kind ~= 'd' and record.stamp or '-' }
end

local version = version_after(record.version, server_time())
redis.call('UNLINK', KEYS[1], KEYS[3])
-- A deleted entry is not fresh until any time; whether there was one stands there, for a repeat.
redis.call('SET', KEYS[2], version .. ' ' .. is_there .. ' 0 d ' .. writer .. ' - -', 'PX', ARGV[4])
redis.call('PUBLISH', channel, ARGV[6] .. version .. ARGV[7])
return { 1, version, is_there }
