-- Purpose: what a new task waits for.
-- Laws: Q-L21, Q-L22.
-- KEYS: as in keys.lua.
-- ARGV: from `at` the number of edges, and four for each: position of its task, predecessor, its done bucket (0 when it
--       is in another queue), and the message that asks the other queue to tell.
-- Returns: nothing; it defines functions for accept.lua.
-- Bound: 256 edges, at most three look-ups each; two commands for each task that waits.

-- The edges of each task, by its position, and where the arguments go on.
local function read_edges(at)
  local edges, count = {}, tonumber(ARGV[at])
  for from = at + 1, at + count * 4, 4 do
    local position = tonumber(ARGV[from])
    local list = edges[position] or {}
    edges[position] = list
    list[#list + 1] = { pred = ARGV[from + 1], bucket = tonumber(ARGV[from + 2]), message = ARGV[from + 3] }
  end
  return edges, at + 1 + count * 4
end

-- The edges that hold a task back; those to a task that has failed have its state. Or nothing, and why it is refused:
-- '*', its position and a predecessor that nobody knows, or '>', its position, a predecessor and the task that stands for
-- that one. `accepted` are the tasks taken in before, in the same call.
local function open_edges(position, edges, accepted, stands, record, is_strict)
  local open, seen = {}, {}
  if not edges then return open end
  local is_indifferent = string.find(attribute(record, 'g') or '', '^c')
  for _, edge in ipairs(edges) do
    local pred, state = edge.pred, 'g'
    local stand = stands[pred]
    if stand and stand ~= pred then return nil, { '>', position, pred, stand } end
    if edge.bucket > 0 and not accepted[pred] then
      local is_there = redis.call('HEXISTS', TASKS, pred) == 1
      if is_there and redis.call('ZSCORE', DEAD, pred) then state = 'd' end
      if not is_there then state = string.match(final(edge.bucket, pred) or '', '^%d+ (%l)') or 'u' end
    end
    if state == 'u' and is_strict then return nil, { '*', position, pred } end
    edge.state = state ~= 'g' and state or nil
    local is_open = state == 'g' or state ~= 'c' and not is_indifferent
    if is_open and not seen[pred] then open[#open + 1] = edge end
    seen[pred] = true
  end
  return open
end

-- The task waits. What has failed already is told by resolve.lua, like everything else.
local function link(id, open, due)
  local marks, rows, messages = {}, {}, {}
  for _, edge in ipairs(open) do
    marks[#marks + 1], marks[#marks + 2] = 0, edge.pred
    rows[#rows + 1], rows[#rows + 2] = 0, edge.pred .. '\0' .. id
    if edge.state then redis.call('ZADD', NEXT, 0, '!' .. edge.pred .. edge.state) end
    if edge.bucket == 0 then messages[#messages + 1] = edge.message end
  end
  many('ZADD', NEXT, marks)
  many('ZADD', NEXT, rows)
  redis.call('HSET', WAITING, id, #open .. (due > now and string.format(' %.0f', due) or ''))
  links = 1
  post(messages)
end
