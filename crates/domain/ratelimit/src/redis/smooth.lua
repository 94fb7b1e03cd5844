-- Algorithm `smooth`: a level that leaks, and when it was seen in microseconds, 8 bytes each; a part of the scripts about counters.
-- Laws: R-L2 limit, R-L4 retry, R-L6 one settlement.
-- KEYS, ARGV and Returns: as of the script it is a part of.
-- Bound: one read and one write of 16 bytes.
local smooth = {}
meters.s = smooth
-- What rounding may add up to.
local EPSILON = 0.000001

function smooth.load(c)
  c.level, c.at, c.unit_us = 0, now_us, c.window * 1000 / c.limit
  local stored = string_of(c)
  if not stored then return end
  local level, at = struct.unpack('>dI8', stored)
  c.at = math.max(now_us, at)
  c.level = math.max(0, level - (c.at - at) / c.unit_us)
end

function smooth.wait(c)
  if c.units > c.burst or c.limit == 0 then return -1 end
  local over = c.level + c.units - c.burst
  return over > EPSILON and math.max(1, math.ceil((over - EPSILON) * c.unit_us / 1000)) or 0
end

local function save(c)
  if c.level <= EPSILON then return redis.call('DEL', c.key) end
  local ends = math.ceil((c.at - now_us + c.level * c.unit_us) / 1000)
  redis.call('SET', c.key, struct.pack('>dI8', c.level, c.at), 'PX', int(ends))
end

-- Tells when they will have leaked.
function smooth.add(c, units)
  c.level = c.level + units
  save(c)
  return math.floor(c.at + c.level * c.unit_us)
end

-- What has not leaked yet is taken out.
function smooth.give_back(c, gone_us, units)
  local left = math.max(0, gone_us - c.at) / c.unit_us
  c.level = math.max(0, c.level - math.min(units, left))
  save(c)
end

function smooth.room(c)
  if c.limit == 0 then return 0, 0 end
  local reset = c.level > EPSILON and math.ceil(c.level * c.unit_us / 1000) or 0
  return math.max(0, math.floor(c.burst - c.level + EPSILON)), reset
end
