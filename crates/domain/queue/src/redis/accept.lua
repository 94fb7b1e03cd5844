-- Purpose: takes in tasks that are not there yet.
-- Laws: Q-L1, Q-L2, Q-L7, Q-L17, Q-L18, Q-L21.
-- KEYS: as in keys.lua.
-- ARGV: from `at` six for each task: id, level, due ('' now, 'd<ms>' after, 'a<ms>' at), done bucket, rest of the record,
--       and what else it is known by ('' for nearly all of them), as first.lua says.
-- Returns: for each task its state, followed by the id that stands for it when it was known before ('?' when that task
--          has ended); or nothing, and why: '!', the position of a task whose key named another request, and the
--          task of that one; or `admit`'s, or what predecessors.lua says.
-- Bound: 256 tasks; six variadic commands, and a few more for each task that is known already or by a key.
local function accept(count, at, edges, is_strict)
  local ids, states, accepted, stands = {}, {}, {}, {}
  for i = 1, count do ids[i] = ARGV[at + (i - 1) * TASK_ARGS] end
  local records, finals = count > 0 and redis.call('HMGET', TASKS, unpack(ids)) or {}, finals_of(ids, at)
  local tasks, delayed, ready, fresh, waiting = {}, {}, {}, {}, {}
  for i, id in ipairs(ids) do
    local from, due = at + (i - 1) * TASK_ARGS, now
    local is_new = not accepted[id] and not records[i] and not finals[id]
    local known, is_reused = not is_new and id, false
    if is_new and ARGV[from + 5] ~= '' then known, is_reused = first(id, ARGV[from + 5]) end
    if is_reused then return nil, { '!', i, known } end
    if known then
      stands[id] = known
      states[i] = (accepted[known] or state_of(known, records[i], finals[id])) .. known
    else
      local given = ARGV[from + 2]
      if given ~= '' then due = tonumber(string.sub(given, 2)) + (string.sub(given, 1, 1) == 'd' and now or 0) end
      local record = ARGV[from + 1] .. string.format('%d', now) .. ARGV[from + 4]
      tasks[#tasks + 1], tasks[#tasks + 2] = id, record
      local open, refused = open_edges(i, edges[i], accepted, stands, record, is_strict)
      if refused then return nil, refused end
      states[i] = #open > 0 and 'g' or due > now and 'w' or 'q'
      if #open > 0 then waiting[#waiting + 1] = { id, open, due } end
      if states[i] == 'w' then delayed[#delayed + 1], delayed[#delayed + 2] = due, id end
      if states[i] == 'q' then ready[#ready + 1], fresh[#fresh + 1] = id, record end
      accepted[id] = states[i]
    end
  end
  local full = admit and #tasks > 0 and admit(tasks)
  if full then return nil, full end
  many('HSET', TASKS, tasks)
  remember()
  if #tasks == 0 then return states end
  to_tails(ready, fresh)
  many('ZADD', DELAYED, delayed)
  for _, task in ipairs(waiting) do link(unpack(task)) end
  redis.call('HINCRBY', META, 'created', #tasks / 2)
  wake()
  return states
end
