-- Reads the record beside a value and makes versions; the first part of every script of the cache.
-- Laws: C-L2 versions.
-- KEYS of every script about an entry: 1 the value, 2 its record, 3 its lease
-- ARGV none of its own
-- Returns nothing by itself.
-- Bound: O(1).
-- A record is '<version> <fresh until> <stale ms> <kind> <writer> <stamp> <content type>'; its kind is v for a value,
-- n for one that is known to be none, d for a deleted one. It is fresh until that many ms of the server's clock.
local function read(text)
  local record = {}
  if text then
    record.version, record.fresh_until, record.stale, record.kind, record.writer, record.stamp =
      string.match(text, '^(%d+) (%d+) (%d+) (%a) (%S+) (%S+)')
  end
  return record
end

-- The server's clock in microseconds.
local function server_time()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

-- A version of that time, and always above the one before.
local function version_after(previous, time)
  return string.format('%.0f', math.max(tonumber(previous or 0) + 1, time))
end
