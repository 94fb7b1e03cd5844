-- Purpose: a page of the workers and a page of what they hold.
-- Laws: Q-L33.
-- KEYS: as in keys.lua.
-- ARGV: 3 cursor of the workers, 4 cursor of what they hold; each '' when there are no more.
-- Returns: the next two cursors; worker, since, last seen and places of each; id and owner of each task under lease.
-- Bound: about 256 of each.
local function page(key, cursor)
  if cursor == '' then return { '', {} } end
  local found = redis.call('HSCAN', key, cursor, 'COUNT', 256)
  if found[1] == '0' then found[1] = '' end
  return found
end

local rows, leases, workers, held = page(WORKERS, ARGV[3]), page(OWN, ARGV[4]), {}, {}
for i = 1, #rows[2], 2 do
  local since, seen, slots = read_worker(rows[2][i + 1])
  if since then
    for _, word in ipairs({ rows[2][i], since, seen, slots }) do workers[#workers + 1] = word end
  end
end
for i = 1, #leases[2], 2 do
  local own = string.match(leases[2][i + 1], '^%d+|%d+|[^|]*|')
  if own then held[#held + 1], held[#held + 2] = leases[2][i], own end
end
return { rows[1], leases[1], workers, held }
