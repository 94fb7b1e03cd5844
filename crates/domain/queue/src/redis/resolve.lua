-- Purpose: works off what waits for tasks that have ended.
-- Laws: Q-L21, Q-L22, Q-L24.
-- KEYS, ARGV: as in keys.lua and lib.lua.
-- Returns: nothing; it defines functions.
-- Bound: `budget` edges; seven commands for each task that has ended, besides those of tell.lua.

-- Answers whether something remains to be told.
local function resolve(budget)
  local head = is_linked() and redis.call('ZRANGEBYLEX', NEXT, '[!', '("', 'LIMIT', 0, 1)[1]
  while head and budget > 0 do
    local pred, state = string.sub(head, 2, 23), string.sub(head, 24, 24)
    local edges = redis.call('ZRANGEBYLEX', NEXT, '[' .. pred .. '\0', '(' .. pred .. '\1', 'LIMIT', 0, budget)
    local reason, messages, ids = state ~= 'c' and why(pred, state, string.sub(head, 25)) or '', {}, {}
    for _, edge in ipairs(edges) do
      local to = string.sub(edge, 24)
      local queue = string.match(to, '^@(.*)')
      if queue then messages[#messages + 1] = queue .. '\ne\n' .. pred .. state .. reason else ids[#ids + 1] = to end
    end
    many('ZREM', NEXT, edges)
    if #edges < budget then redis.call('ZREM', NEXT, head, pred) end
    post(messages)
    if #ids > 0 then tell(ids, state, reason) end
    budget = budget - math.max(#edges, 1)
    head = redis.call('ZRANGEBYLEX', NEXT, '[!', '("', 'LIMIT', 0, 1)[1]
  end
  return head and true or false
end

-- Whether a relay has something to do.
local function has_messages() return is_linked() and redis.call('EXISTS', OUTBOX) or 0 end

-- Up to 32 tasks that are to be called off, each followed by the reason: the caller does it, who knows their buckets.
local function doomed()
  local rows = {}
  local marks = is_linked() and redis.call('ZRANGEBYLEX', NEXT, '[#', '($', 'LIMIT', 0, 32) or {}
  for _, mark in ipairs(marks) do
    local id = string.sub(mark, 2)
    rows[#rows + 1], rows[#rows + 2] = id, string.sub(redis.call('HGET', WAITING, id) or '', 2)
  end
  return rows
end
