-- Algorithm `window`: 9 counts of 4 bytes behind the number of the newest part in 6; a part of the scripts about counters.
-- Laws: R-L2 limit, R-L4 retry, R-L6 one settlement.
-- KEYS, ARGV and Returns: as of the script it is a part of.
-- Bound: one read and one write of 42 bytes.
local window, LAYOUT = {}, '>I6I4I4I4I4I4I4I4I4I4'
meters.w = window

-- The part of now, and how much of it is over in eighths of a millisecond. A clock set back stands where the newest began.
function window.load(c)
  local at, n = now * 8, string_of(c)
  c.over, c.part = at % c.window, math.floor(at / c.window)
  n = n and { struct.unpack(LAYOUT, n) } or { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
  -- What is stored is of this part: then only its count changes.
  c.is_newest = c.part <= n[1]
  if c.part < n[1] then c.part, c.over = n[1], 0 end
  for _ = 1, math.min(9, c.part - n[1]) do table.insert(n, 2, 0) end
  c.counts, c.sum = n, n[2] + n[3] + n[4] + n[5] + n[6] + n[7] + n[8] + n[9]
end

function window.wait(c)
  local n, sum, over = c.counts, c.sum, c.over
  if c.units > c.limit then return -1 end
  for later = 0, 8 do
    local room, oldest = c.limit - c.units - sum, n[10 - later]
    if room >= 0 then
      -- Of the oldest, what is beyond the room must have left the window.
      local left = oldest > room and c.window - math.floor(room * c.window / oldest) or 0
      if later == 0 and left <= over then return 0 end
      return math.max(1, math.ceil(((c.part + later) * c.window + math.max(left, over)) / 8) - now)
    end
    sum, over = sum - n[9 - later], 0
  end
end

local function save(c)
  if c.is_newest then return redis.call('SETRANGE', c.key, 6, struct.pack('>I4', c.counts[2])) end
  c.counts[1], c.is_newest = c.part, true
  redis.call('SET', c.key, struct.pack(LAYOUT, unpack(c.counts, 1, 10)), 'PX', math.ceil((c.part + 9) * c.window / 8) - now)
end

function window.add(c, units)
  local n, taken = c.counts, math.min(4294967295 - c.counts[2], units)
  n[2], c.sum = n[2] + taken, c.sum + taken
  save(c)
  return c.part
end

function window.give_back(c, part, units)
  local i = c.part - part + 2
  if i < 2 or i > 10 or c.counts[i] == 0 then return end
  c.counts[i], c.is_newest = math.max(0, c.counts[i] - units), false
  save(c)
end

function window.room(c)
  local n, i = c.counts, 2
  local taken = c.sum + (n[10] > 0 and math.ceil(n[10] * (c.window - c.over) / c.window) or 0)
  while i < 11 and n[i] == 0 do i = i + 1 end
  return math.max(0, c.limit - taken), i < 11 and math.ceil((c.part + 11 - i) * c.window / 8) - now or 0
end
