-- Purpose: who waits for whom, and what is to be told to other queues.
-- Laws: Q-L21, Q-L22, Q-L24. The set `next` holds, all with score 0: '<id>' when something waits for the task,
--       '<id>\0<successor>', '<id>\0@<queue>' for a queue that wants to be told, '!<id><state>[<reason>]' when the task has
--       ended and what waits for it is still to be told, '#<id>' for a task that is to be called off.
-- KEYS, ARGV: as in keys.lua and lib.lua.
-- Returns: nothing; it defines functions.
-- Bound: one EXISTS for each script that ends tasks in a queue without dependencies.
local WAITING, NEXT, OUTBOX = KEYS[16], KEYS[17], KEYS[18]
local links

-- False for nearly every queue.
local function is_linked()
  links = links or redis.call('EXISTS', NEXT, OUTBOX)
  return links > 0
end

-- Messages to other queues, each '<queue>\n<kind>\n<what>', in the order in which they are to be delivered. Numbers grow
-- with the time, so that a server which lost the last ones gives none of them again.
local function post(messages)
  if #messages == 0 then return end
  local rows, first = {}, math.max(tonumber(redis.call('HGET', META, 'posted') or 0), now * 1000)
  redis.call('HSET', META, 'posted', string.format('%.0f', first + #messages))
  for i, message in ipairs(messages) do
    local number = string.format('%.0f', first + i)
    rows[#rows + 1], rows[#rows + 2] = number, number .. ' ' .. string.format('%.0f', now) .. '\n' .. message
  end
  many('ZADD', OUTBOX, rows)
  links = 1
end

-- These tasks have ended in this state: c completed, d dead, x cancelled. resolve.lua tells what waits for them.
local function announce(ids, state)
  if #ids == 0 or not is_linked() then return end
  local rows = {}
  for i, mark in ipairs(redis.call('ZMSCORE', NEXT, unpack(ids))) do
    if mark then rows[#rows + 1], rows[#rows + 2] = 0, '!' .. ids[i] .. state end
  end
  many('ZADD', NEXT, rows)
end

local function announce_finals(finals)
  if not is_linked() then return end
  local ids = { c = {}, d = {}, x = {} }
  for _, bundle in pairs(finals) do
    for i = 1, #bundle, 2 do
      local list = ids[string.match(bundle[i + 1], '^%d+ (%l)')]
      list[#list + 1] = bundle[i]
    end
  end
  for state, list in pairs(ids) do announce(list, state) end
end

-- The task waits no more, for whatever reason.
local function unlink(id, record)
  local edges = { '#' .. id }
  local preds = string.sub(attribute(record, 'g') or '', 2)
  for pred in string.gmatch(preds, '([^,@]+)@?[^,]*') do edges[#edges + 1] = pred .. '\0' .. id end
  redis.call('HDEL', WAITING, id)
  many('ZREM', NEXT, edges)
end
