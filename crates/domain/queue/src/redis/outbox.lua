-- Purpose: messages to other queues, for the relay whose turn it is.
-- Laws: Q-L24.
-- KEYS: as in keys.lua.
-- ARGV: 3 relay, 4 milliseconds that its turn lasts, 5 number after which it looks, 6 how many messages it takes; from 7 on
--       numbers of messages that are delivered.
-- Returns: milliseconds until the turn of another relay ends (0 when it is this one's), whether something is left to be
--          told, ids and reasons of waiting tasks to be called off, and messages, oldest first.
-- Bound: 32 messages, 64 edges; one EXISTS and one HDEL where there is nothing.
check_list()
must_write()
if not is_linked() then return { 0, 0, {}, {} } end
for i = 7, #ARGV do redis.call('ZREMRANGEBYSCORE', OUTBOX, ARGV[i], ARGV[i]) end -- allow(ZREMRANGEBYSCORE): one number
local until_, holder = string.match(redis.call('HGET', META, 'relay') or '', '^(%d+) (.*)$')
if holder and holder ~= ARGV[3] and tonumber(until_) > now then return { until_ - now, 0, {}, {} } end
local is_pending, gone = resolve(64), doomed()
local page = redis.call('ZRANGEBYSCORE', OUTBOX, '(' .. ARGV[5], '+inf', 'LIMIT', 0, ARGV[6])
if #page > 0 or is_pending then
  redis.call('HSET', META, 'relay', string.format('%.0f ', now + ARGV[4]) .. ARGV[3])
elseif holder then
  redis.call('HDEL', META, 'relay')
end
return { 0, is_pending and 1 or 0, gone, page }
