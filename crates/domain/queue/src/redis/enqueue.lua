-- Purpose: adds tasks.
-- Laws: Q-L1, Q-L2, Q-L7, Q-L17, Q-L20, Q-L21.
-- KEYS: as in keys.lua, and those that first.lua names.
-- ARGV: 3 number of tasks, 4 how many more the request will bring, 5 '1' when a predecessor that nobody knows is
--       refused; from 6 on the tasks, as accept.lua says; then the edges, as predecessors.lua says.
-- Returns: for each task its state and the id that was known before, or why nothing was added, as accept.lua says; or
--          '!full'.
-- Bound: 256 tasks, as accept.lua; with a limit of bytes, five more records looked at.
check_list()
local meta = redis.call('HMGET', META, 'policy', 'kept')
has_kept = meta[2] == '1'
read_rules(meta[1])

-- Whether the queue has no room for these ids and records, and for what the request will bring.
local function is_full(tasks)
  local depth, bytes = rules.d and rules.d[1], rules.b and rules.b[1]
  local unfinished = depth and redis.call('HLEN', TASKS) - redis.call('ZCARD', DEAD)
  if depth and unfinished + #tasks / 2 + ARGV[4] > depth then return true end
  if not bytes then return false end
  local used = redis.call('MEMORY', 'USAGE', TASKS, 'SAMPLES', 5) or 0
  for i = 2, #tasks, 2 do used = used + #tasks[i] end
  return used > bytes
end
if meta[1] then admit = function(tasks) return is_full(tasks) and { '!full' } end end

local count = tonumber(ARGV[3])
local edges = read_edges(6 + count * TASK_ARGS)
local states, refused = accept(count, 6, edges, ARGV[5] == '1')
if refused then return refused end
if next(edges) then resolve(64) end
for i, state in ipairs(states) do
  -- What it waits for had failed before.
  local id = ARGV[6 + (i - 1) * TASK_ARGS]
  if state == 'g' then states[i] = place(id, redis.call('HGET', TASKS, id)) end
end
return states
