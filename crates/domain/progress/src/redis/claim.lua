-- Begins an epoch of an operation: the first frames of a writer that has taken it over.
-- Laws: P-L1 increasing, P-L2 one writer, P-L3 repeatable, P-L8 expiry, P-L9 never from nothing.
-- KEYS 1 the operation's stream
-- ARGV 1 writer, 2 the last id that the writer knows or '', 3 time to live in ms, 4 entries to keep, 5 the channel,
--      then for each frame: id, kind, data, keyframe or '', the message
-- Returns 1 when all frames are there, 0 when the operation has moved on.
-- Bound: at most 64 frames.
local stream = KEYS[1]
local writer, previous, ttl, history, channel = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]

local newest = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
local last = newest and newest[1] or ''
if last ~= previous then
  -- A repeat after a lost answer finds its own first frame. All frames were written together.
  local first = redis.call('XRANGE', stream, ARGV[6], ARGV[6], 'COUNT', 1)[1]
  local fields = first and first[2] or {}
  for i = 1, #fields, 2 do
    if fields[i] == 'w' and fields[i + 1] == writer then return 1 end
  end
  return 0
end

for i = 6, #ARGV, 5 do
  local id, kind, data, keyframe = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local fields = { 'k', kind, 'd', data }
  if keyframe ~= '' then
    fields[#fields + 1] = 's'
    fields[#fields + 1] = keyframe
  end
  if i == 6 then
    fields[#fields + 1] = 'w'
    fields[#fields + 1] = writer
  end
  local added = redis.pcall('XADD', stream, 'MAXLEN', '~', history, id, unpack(fields))
  if type(added) == 'table' and added.err then
    if i == 6 and string.find(added.err, 'equal or smaller', 1, true) then return 0 end
    return added
  end
  redis.call('PUBLISH', channel, ARGV[i + 4])
end
redis.call('PEXPIRE', stream, ttl)
return 1
