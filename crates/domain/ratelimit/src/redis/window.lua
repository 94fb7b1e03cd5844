-- Algorithm `window`: 9 counts of 4 bytes behind the number of the newest part in 6; a part of the scripts about counters.
-- Laws: R-L2 limit, R-L4 retry, R-L6 one settlement.
-- KEYS, ARGV and Returns: as of the script it is a part of.
-- Bound: one read and one write of 42 bytes.
local window, LAYOUT = {}, '>I6I4I4I4I4I4I4I4I4I4'
meters.window = window

-- The part of now, and how much of it is over in eighths of a millisecond. A clock set back stands where the newest began.
function window.load(c)
  c.part, c.over = math.floor(now * 8 / c.window), now * 8 % c.window
  local stored = redis.call('GET', c.key)
  local all = stored and { struct.unpack(LAYOUT, stored) } or { c.part, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
  if c.part < all[1] then c.part, c.over = all[1], 0 end
  for _ = 1, math.min(9, c.part - all[1]) do table.insert(all, 2, 0) end
  c.counts = { unpack(all, 2, 10) }
end

local function sum_of_newest(c, n)
  local sum = 0
  for i = 1, n do sum = sum + c.counts[i] end
  return sum
end

function window.wait(c)
  if c.units > c.limit then return -1 end
  for later = 0, 8 do
    local room, oldest = c.limit - c.units - sum_of_newest(c, 8 - later), c.counts[9 - later]
    if room >= 0 then
      -- Of the oldest, what is beyond the room must have left the window.
      local over = later == 0 and c.over or 0
      local left = oldest > room and c.window - math.floor(room * c.window / oldest) or 0
      if later == 0 and left <= over then return 0 end
      return math.max(1, math.ceil(((c.part + later) * c.window + math.max(left, over)) / 8) - now)
    end
  end
end

local function save(c)
  local ends = math.ceil((c.part + 9) * c.window / 8)
  redis.call('SET', c.key, struct.pack(LAYOUT, c.part, unpack(c.counts)), 'PX', int(ends - now))
end

function window.add(c, units)
  c.counts[1] = math.min(4294967295, c.counts[1] + units)
  save(c)
  return c.part
end

function window.give_back(c, part, units)
  local i = c.part - part + 1
  if i < 1 or i > 9 or c.counts[i] == 0 then return end
  c.counts[i] = math.max(0, c.counts[i] - units)
  save(c)
end

function window.room(c)
  local taken, i = sum_of_newest(c, 8) + math.ceil(c.counts[9] * (c.window - c.over) / c.window), 1
  while i < 10 and c.counts[i] == 0 do i = i + 1 end
  return math.max(0, c.limit - taken), i < 10 and math.ceil((c.part + 10 - i) * c.window / 8) - now or 0
end
