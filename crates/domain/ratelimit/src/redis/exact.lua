-- Algorithm `exact`: a string with the time of each unit in 6 bytes, oldest first; a part of the scripts about counters.
-- Laws: R-L2 limit, R-L4 retry, R-L6 one settlement.
-- KEYS, ARGV and Returns: as of the script it is a part of.
-- Bound: 24 KiB are read, 12 bytes are written for each unit, and in the mean no more when the log is cut.
local exact = {}
meters.e = exact

local function entry(c, i)
  return struct.unpack('>I6', c.log, 6 * i - 5)
end

-- Only the newest units can matter. A clock that was set back stands still until it is where it was.
function exact.load(c)
  c.log = c.limit > 0 and redis.call('GETRANGE', c.key, -6 * c.limit, -1) or ''
  c.n = #c.log / 6
  c.now = c.n > 0 and math.max(now, entry(c, c.n)) or now
end

-- How many are over.
local function over(c)
  local low, high = 0, c.n
  while low < high do
    local middle = math.ceil((low + high) / 2)
    if entry(c, middle) + c.window <= c.now then low = middle else high = middle - 1 end
  end
  return low
end

function exact.wait(c)
  if c.units > c.limit then return -1 end
  local i = c.n - (c.limit - c.units)
  if i < 1 then return 0 end
  local over_at = entry(c, i) + c.window
  return over_at > c.now and over_at - now or 0
end

function exact.add(c, units)
  local added = string.rep(struct.pack('>I6', c.now), units)
  c.log, c.n = c.log .. added, c.n + units
  local all, gone = redis.call('APPEND', c.key, added) / 6, over(c)
  if all > 2 * (c.n - gone) + 64 then redis.call('SET', c.key, string.sub(c.log, 6 * gone + 1)) end
  redis.call('PEXPIRE', c.key, int(c.now - now + c.window))
  return c.now
end

function exact.give_back(c, taken_at, units)
  local kept = {}
  for i = over(c) + 1, c.n do
    if units > 0 and entry(c, i) == taken_at then units = units - 1 else kept[#kept + 1] = string.sub(c.log, 6 * i - 5, 6 * i) end
  end
  if #kept == 0 then return redis.call('DEL', c.key) end
  redis.call('SET', c.key, table.concat(kept), 'PX', int(c.now - now + c.window))
end

function exact.room(c)
  local living = c.n - over(c)
  return math.max(0, c.limit - living), living > 0 and entry(c, c.n) + c.window - now or 0
end
