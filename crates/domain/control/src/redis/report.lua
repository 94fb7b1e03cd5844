-- Keeps the last report about a task that was told to stop.
-- Laws: A-L9 reports.
-- KEYS 1 the reports about the user's tasks
-- ARGV 1 task id, 2 outcome, 3 time to live in ms
-- Returns 1.
-- Bound: constant work.
local task_id, outcome, ttl = ARGV[1], ARGV[2], ARGV[3]
redis.call('HSET', KEYS[1], task_id, outcome .. ' ' .. iso(now))
redis.call('PEXPIRE', KEYS[1], ttl)
return 1
