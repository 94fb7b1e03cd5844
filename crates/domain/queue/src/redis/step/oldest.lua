-- Purpose: which level's next task has waited for too long.
-- Laws: Q-L28.
-- KEYS, ARGV: as in keys.lua and lib.lua.
-- Returns: nothing; it defines a function.
-- Bound: the heads of four levels, and 16 ids of cancelled tasks in each.

-- The record of the task that is next in a level, where it is one.
local function next_of(level, in_turns, gone)
  local front = in_turns and go_on(level, now) and
    redis.call('ZRANGEBYSCORE', TURNS[level], '-inf', '(1e15', 'LIMIT', 0, 1)[1]
  if front and front ~= '' then
    local low, high = lex(front)
    local member = redis.call('ZRANGEBYLEX', FAIR[level], low, high, 'LIMIT', 0, 1)[1]
    return member and redis.call('HGET', TASKS, string.match(member, '%z(.*)$'))
  end
  for _ = 1, 16 do
    local id = redis.call('LINDEX', READY[level], -1)
    local record = id and redis.call('HGET', TASKS, id)
    if record or not id or not is_id(id) then return record end
    redis.call('RPOP', READY[level])
    gone[level] = (gone[level] or 0) - 1
  end
end

-- The level of the task that has waited longest, if it has waited for longer than is allowed.
local function oldest(in_turns, gone)
  local since, from = now - rule('g')[1], nil
  for _, level in ipairs(LEVELS) do
    local record = next_of(level, in_turns, gone)
    local at = record and ready_since(record)
    if at and at < since then since, from = at, level end
  end
  return from
end
