-- Purpose: delayed tasks that are due go to the tail of their level.
-- Laws: Q-L5, Q-L7.
-- KEYS, ARGV: as in lib.lua.
-- Returns: when the next one is due, or nil.
-- Bound: 64 tasks, seven commands; one when nothing is due.
local function promote()
  local head = redis.call('ZRANGE', DELAYED, 0, 0, 'WITHSCORES')
  if not head[2] or tonumber(head[2]) > now then return tonumber(head[2]) end
  local due = redis.call('ZRANGEBYSCORE', DELAYED, '-inf', now, 'LIMIT', 0, 64)
  local records, lists = redis.call('HMGET', TASKS, unpack(due)), { c = {}, h = {}, n = {}, l = {} }
  for i, id in ipairs(due) do
    local list = lists[string.sub(records[i] or '', 1, 1)] or lists.n
    list[#list + 1] = id
  end
  many('ZREM', DELAYED, due)
  for _, level in ipairs(LEVELS) do many('LPUSH', READY[level], lists[level]) end
  head = redis.call('ZRANGE', DELAYED, 0, 0, 'WITHSCORES')
  return tonumber(head[2])
end
