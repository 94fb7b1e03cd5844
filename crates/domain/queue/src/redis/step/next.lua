-- Purpose: the tasks that a completion brings are taken in, or posted to their queues, in the same step.
-- Laws: Q-L4, Q-L23, Q-L24: only with the completion itself, never with its repetition.
-- KEYS: as in keys.lua.
-- ARGV: from `at`, where there is anything, the number of groups, and for each: position of its settlement, number of
--       its tasks, number of messages, the tasks as accept.lua says, their edges as predecessors.lua says, the messages.
-- Returns: nothing; it defines functions. The last answers what settle.lua says, and for each group of a completion the
--          position of its settlement, and where its tasks are, as accept.lua says.
-- Bound: 64 tasks and messages and 256 edges, or one settlement with as many; nothing in a step that brings no tasks.

-- The groups, and which of them belong to a settlement that is about to be applied.
local function read_next(at, settlements)
  local groups, from, is_taken = {}, at + 1, {}
  for i = 1, tonumber(ARGV[at] or 0) or 0 do
    local position = tonumber(ARGV[from])
    local group = { position = position, count = tonumber(ARGV[from + 1]), tasks = from + 3, messages = {} }
    local last = tonumber(ARGV[from + 2])
    local place = settlements + (position - 1) * 6
    local id, fence = ARGV[place], ARGV[place + 1]
    group.edges, from = read_edges(group.tasks + group.count * TASK_ARGS)
    for k = 1, last do group.messages[k] = ARGV[from + k - 1] end
    from = from + last
    group.is_held = not is_taken[id] and string.match(redis.call('HGET', OWN, id) or '', '^%d+') == fence
    is_taken[id] = is_taken[id] or group.is_held
    groups[i] = group
  end
  return groups
end

-- Where a task is that was taken in before, or what stands for it.
local function where_now(from)
  local id, key = ARGV[from], string.match(ARGV[from + 5], 'u%l(%x+)')
  local record, ended = redis.call('HGET', TASKS, id), final(ARGV[from + 3], id)
  if not record and not ended and key then id = redis.call('HGET', UNIQUE, key) or id end
  return state_of(id, record, ended) .. id
end

local function settle_all(count, from, at)
  local groups, answers = read_next(at, from), {}
  local settled = settle(count, from)
  for _, group in ipairs(groups) do
    if settled[group.position] == 'c' then
      -- Those of other queues first: ours may wait for them, which must be said to their queue after they are.
      if group.is_held then post(group.messages) end
      local states = group.is_held and accept(group.count, group.tasks, group.edges, false) or {}
      for i = #states + 1, group.count do states[i] = where_now(group.tasks + (i - 1) * TASK_ARGS) end
      answers[#answers + 1], answers[#answers + 2] = group.position, states
    end
  end
  return settled, answers
end
