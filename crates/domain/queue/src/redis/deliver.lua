-- Purpose: what another queue has to say: that one of its tasks waits for one of ours, that one of its tasks has ended,
--          or that one of its tasks brings one for us.
-- Laws: Q-L21 to Q-L24. Messages of a queue come in the order of their numbers; one with a number that was heard before
--       changes nothing.
-- KEYS: as in keys.lua.
-- ARGV: 3 the queue that speaks, 4 number of messages, and for each: its number, its kind, and what it says: 'w' waits:
--       our task, its done bucket, the queue that waits; 'e' ended: its task, nothing, state and reason; 'n' next: the task
--       as accept.lua says, and its edges as predecessors.lua says.
-- Returns: whether this queue has something to say or to settle now.
-- Bound: 32 messages with 256 edges, and 64 edges to those that wait; about ten commands for each new task.
check_list()
must_write()
local heard = tonumber(redis.call('HGET', META, 'heard:' .. ARGV[3]) or 0)

local answers = {}
local function waits(pred, bucket, queue)
  local is_there, state = redis.call('HEXISTS', TASKS, pred) == 1, nil
  if is_there then state = redis.call('ZSCORE', DEAD, pred) and 'd' or 'g' end
  if not is_there then state = string.match(final(bucket, pred) or '', '^%d+ (%l)') or 'u' end
  if state == 'g' then
    redis.call('ZADD', NEXT, 0, pred, 0, pred .. '\0@' .. queue)
    links = 1
  else
    answers[#answers + 1] = queue .. '\ne\n' .. pred .. state .. (state ~= 'c' and why(pred, state, '') or '')
  end
end

local function ended(pred, what)
  if redis.call('ZSCORE', NEXT, pred) then redis.call('ZADD', NEXT, 0, '!' .. pred .. what) end
end

local at, last = 5, heard
for _ = 1, tonumber(ARGV[4]) do
  local number, kind = tonumber(ARGV[at]), ARGV[at + 1]
  local is_news, from = number > last, at + 2
  if kind == 'n' then
    local edges
    edges, at = read_edges(from + TASK_ARGS)
    if is_news then accept(1, from, edges, false) end
  else
    if is_news and kind == 'w' then waits(ARGV[from], ARGV[from + 1], ARGV[from + 2]) end
    if is_news and kind == 'e' then ended(ARGV[from], ARGV[from + 2]) end
    at = from + 3
  end
  last = math.max(last, number)
end
if last > heard then redis.call('HSET', META, 'heard:' .. ARGV[3], string.format('%.0f', last)) end
post(answers)
local is_pending = resolve(64)
if is_pending then wake() end
return (is_pending or redis.call('EXISTS', OUTBOX) == 1 or #doomed() > 0) and 1 or 0
