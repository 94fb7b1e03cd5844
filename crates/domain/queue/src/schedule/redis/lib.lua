-- Purpose: what every script of schedules starts with: the keys, the time, and how records are read and written.
-- Laws: S-L3; records are described in record.rs.
-- KEYS: 1 schedules, 2 due, 3 names, 4 revision.
-- ARGV: 1 milliseconds to add to the server's clock (0 outside tests).
-- Returns: nothing; the script that follows does.
-- Bound: one TIME.
local SCHEDULES, DUE, NAMES, REVISION = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[1]

-- A record in its parts, or nil. What cannot be read, such as what a version to come writes, is left alone.
local function read(name)
  local text = redis.call('HGET', SCHEDULES, name)
  if not text then return nil end
  local revision, state, slot, created, updated, timing, log, extra, rest =
    string.match(text, '^(%d+) (%l) (%d+) (%d+) (%d+) (%S+)\n([^\n]*)\n([^\n]*)\n(.*)$')
  if not revision then return nil end
  return { revision = revision, state = state, slot = slot, created = created, updated = updated, timing = timing,
           log = log, extra = extra, rest = rest }
end

-- Writes a record as it now is, under its old revision; answers its text.
local function store(name, it)
  local front = table.concat({ it.revision, it.state, it.slot, it.created, it.updated, it.timing }, ' ')
  local text = front .. '\n' .. it.log .. '\n' .. it.extra .. '\n' .. it.rest
  redis.call('HSET', SCHEDULES, name, text)
  return text
end

-- The same under a new revision, which is greater than any before it of any schedule.
local function write(name, it)
  it.revision = string.format('%.0f', redis.call('INCR', REVISION))
  return store(name, it)
end

local function text_of(number) return string.format('%.0f', number) end
