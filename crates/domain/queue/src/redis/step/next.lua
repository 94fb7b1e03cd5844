-- Purpose: the tasks that a completion enqueues, in the same step: those of this queue are taken in, those of others
--          posted.
-- Laws: Q-L4, Q-L23, Q-L24: only with the completion itself, never with its repetition.
-- KEYS: as in lib.lua.
-- ARGV: from `at` the number of groups, and for each: position of its settlement, number of tasks, number of messages,
--       the tasks as accept.lua says, the edges as predecessors.lua says, and the messages.
-- Returns: nothing; it defines functions.
-- Bound: 256 tasks, edges and messages altogether.

-- The groups whose settlement is about to be applied.
local function read_next(at, settlements)
  local groups = {}
  local from = at + 1
  for _ = 1, tonumber(ARGV[at]) do
    local place, count, messages = settlements + (ARGV[from] - 1) * 6, tonumber(ARGV[from + 1]), tonumber(ARGV[from + 2])
    local group = { count = count, tasks = from + 3, messages = {} }
    group.edges, from = read_edges(group.tasks + count * TASK_ARGS)
    for i = 1, messages do group.messages[i] = ARGV[from + i - 1] end
    from = from + messages
    local own = redis.call('HGET', OWN, ARGV[place]) or ''
    local is_held = string.match(own, '^%d+') == ARGV[place + 1] and redis.call('HEXISTS', TASKS, ARGV[place]) == 1
    if is_held then groups[#groups + 1] = group end
  end
  return groups
end

local function enqueue_next(groups)
  for _, group in ipairs(groups) do
    accept(group.count, group.tasks, group.edges, false)
    post(group.messages)
  end
end
