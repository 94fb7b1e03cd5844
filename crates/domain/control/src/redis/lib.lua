-- Shared by the scripts of control; put in front of each of them.
-- Purpose: the server's time, RFC 3339, revisions, and a brake as JSON. Laws: A-L2 revisions.
-- KEYS, ARGV: none of its own. Returns: nothing, it only defines local functions. Bound: constant work.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

-- Numbers above 1e14 lose digits in tostring and in cjson.
local function int(n)
  return string.format('%.0f', n)
end

-- Days to a civil date: Howard Hinnant, "chrono-compatible low-level date algorithms".
local function iso(ms)
  local days = math.floor(ms / 86400000)
  local rest = ms - days * 86400000
  local z = days + 719468
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local day = doy - math.floor((153 * mp + 2) / 5) + 1
  local month = mp < 10 and mp + 3 or mp - 9
  local year = yoe + era * 400 + (month <= 2 and 1 or 0)
  local clock = string.format('%02d:%02d:%02d.%03d', math.floor(rest / 3600000), math.floor(rest / 60000) % 60,
    math.floor(rest / 1000) % 60, rest % 1000)
  return string.format('%04d-%02d-%02dT%sZ', year, month, day, clock)
end

local function text(value)
  return type(value) == 'string' and value ~= '' and cjson.encode(value) or 'null'
end

-- The next revision: microseconds, so that it grows even when the index was lost.
local function next_revision(index)
  local known = tonumber(redis.call('HGET', index, 'rev') or '0')
  local revision = math.max(known + 1, tonumber(time[1]) * 1000000 + tonumber(time[2]))
  redis.call('HSETNX', index, 'first', int(revision))
  redis.call('HSET', index, 'rev', int(revision))
  return revision
end

-- The members that a state and a message share.
local function brake_members(scope, brake)
  local expires_at = brake.expires_ms and '"' .. iso(brake.expires_ms) .. '"' or 'null'
  return '"user_id":' .. text(scope) .. ',"since":"' .. iso(brake.since_ms) .. '","since_ms":' .. int(brake.since_ms)
    .. ',"reason":' .. text(brake.reason) .. ',"by":' .. text(brake.by) .. ',"expires_at":' .. expires_at
    .. ',"expires_ms":' .. (brake.expires_ms and int(brake.expires_ms) or 'null')
    .. ',"revision":' .. int(brake.revision) .. '}'
end

local function decode(json)
  local brake = json and cjson.decode(json)
  if brake and brake.expires_ms == cjson.null then brake.expires_ms = nil end
  return brake
end

