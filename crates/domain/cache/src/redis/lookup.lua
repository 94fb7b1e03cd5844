-- Reads an entry, and leases it to the caller when it is not fresh.
-- Laws: C-L5 one lease, C-L8 throttle, C-L13 judged.
-- KEYS 1 the value, 2 its record, 3 its lease
-- ARGV 1 the writer, 2 time of the lease in ms, 3 the stamp that counts or '', 4 versions up to this one are nothing
-- Returns { value, record, ms that the value has left, claim: 0 fresh, 1 granted, 2 busy, ms that the lease has left }
-- Bound: O(1), plus the size of the value.
local writer, lease, stamp, after = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local got = redis.call('MGET', KEYS[1], KEYS[2])
local left = redis.call('PTTL', KEYS[1])
local record = read(got[2])
local counts = false
if got[1] then
  -- Without a record, or after our deletion, another program wrote it: it counts while it is there.
  local is_foreign = not record.version or record.kind == 'd'
  counts = is_foreign or
    (tonumber(record.version) > tonumber(after) and (stamp == '' or record.stamp == stamp))
  if counts and (is_foreign or left < 0 or left > tonumber(record.stale)) then
    return { got[1], got[2], left, 0, 0 }
  end
end

local holder = redis.call('GET', KEYS[3])
-- '!' is a lease that nobody may have for a while: only as long as there is something to serve instead.
if not holder or holder == writer or (holder == '!' and not counts) then
  redis.call('SET', KEYS[3], writer, 'PX', lease)
  return { got[1], got[2], left, 1, 0 }
end
return { got[1], got[2], left, 2, redis.call('PTTL', KEYS[3]) }
