-- Tells that a process is there, and answers what all know.
-- Laws: R-L10 overrides.
-- KEYS 1 the processes, 2 the overrides
-- ARGV 1 process, 2 how long it is there in ms, 3 the version of the overrides that it knows
-- Returns { processes } or { processes, version, and for each override its target and its limit }
-- Bound: 256 processes that have gone are forgotten, 1024 overrides are read.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local function int(n) return string.format('%.0f', n) end

local gone = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', int(now), 'LIMIT', 0, 256)
if #gone > 0 then redis.call('ZREM', KEYS[1], unpack(gone)) end
redis.call('ZADD', KEYS[1], int(now + tonumber(ARGV[2])), ARGV[1])
redis.call('PEXPIRE', KEYS[1], int(tonumber(ARGV[2])))
local processes = redis.call('ZCARD', KEYS[1])

local version = redis.call('HGET', KEYS[2], '') or '0'
if version == ARGV[3] then return { processes } end
local reply = { processes, version }
local all = redis.call('HGETALL', KEYS[2]) -- allow(HGETALL): 1024 overrides and the version
for i = 1, #all, 2 do
  if all[i] ~= '' then
    reply[#reply + 1] = all[i]
    reply[#reply + 1] = all[i + 1]
  end
end
return reply
