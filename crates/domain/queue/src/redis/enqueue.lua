-- Purpose: adds tasks.
-- Laws: Q-L1, Q-L2, Q-L7, Q-L17, Q-L20.
-- KEYS: as in lib.lua, and those that first.lua names.
-- ARGV: 3 number of tasks, 4 how many more the request will bring; from 5 on the tasks, as accept.lua says.
-- Returns: for each task its state and the id that was known before, as accept.lua says; or why nothing was added: '!'
--          and the position of a task whose key was used for another request, or '!full'.
-- Bound: 256 tasks, as accept.lua; with a limit of bytes, five more records looked at.
check_list()
local meta = redis.call('HMGET', META, 'policy', 'kept')
has_kept = meta[2] == '1'

-- Whether the queue has no room for these ids and records, and for what the request will bring.
local function is_full(tasks)
  local depth = tonumber(string.match(meta[1], 'd(%d+)') or nil)
  local bytes = tonumber(string.match(meta[1], 'b(%d+)') or nil)
  local unfinished = depth and redis.call('HLEN', TASKS) - redis.call('ZCARD', DEAD)
  if depth and unfinished + #tasks / 2 + ARGV[4] > depth then return true end
  if not bytes then return false end
  local used = redis.call('MEMORY', 'USAGE', TASKS, 'SAMPLES', 5) or 0
  for i = 2, #tasks, 2 do used = used + #tasks[i] end
  return used > bytes
end
if meta[1] then admit = function(tasks) return is_full(tasks) and { '!full' } end end

local states, refused = accept(tonumber(ARGV[3]), 5)
return states or refused
