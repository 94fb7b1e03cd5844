-- Purpose: what workers said of themselves, read.
-- Laws: Q-L33.
-- KEYS: as in keys.lua.
-- ARGV: as in lib.lua.
-- Returns: nothing; it defines functions.
-- Bound: 256 workers.
local WORKERS, WORKER_TTL = KEYS[30], 60000

-- Since when, when last, and how many places; nothing when that was too long ago.
local function read_worker(row)
  local since, seen, slots = string.match(row or '', '^(%d+)|(%d+)|(%d+)$')
  if since and now - seen < WORKER_TTL then return since, seen, slots end
end

-- How many workers there are, and how many places they have; of more than 256 the rest is taken to be alike.
local function count_workers()
  local rows, count, places = redis.call('HRANDFIELD', WORKERS, 256, 'WITHVALUES'), 0, 0
  for i = 2, #rows, 2 do
    local since, _, slots = read_worker(rows[i])
    if since then count, places = count + 1, places + slots end
  end
  local part = #rows < 512 and 1 or redis.call('HLEN', WORKERS) * 2 / #rows
  return math.floor(count * part + 0.5), math.floor(places * part + 0.5)
end
