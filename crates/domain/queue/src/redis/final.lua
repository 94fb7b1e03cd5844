-- Purpose: what is kept of tasks that have ended.
-- Laws: Q-L14, Q-L19; the format is described in record.rs.
-- KEYS: as in keys.lua; the done bucket at a position, and behind it the hash of those that asked for another retention.
-- ARGV: 2 retention in milliseconds.
-- Returns: nothing; it defines functions.
-- Bound: one record.

-- Whether any task of the queue ever asked for a retention of its own; step.lua and enqueue.lua know without asking.
local has_kept
local function keeps()
  if has_kept == nil then has_kept = redis.call('HEXISTS', META, 'kept') == 1 end
  return has_kept
end

-- The retention that the task of a final record asked for, or nil.
local function own_retention(record)
  return tonumber(attribute(string.match(record, '\n([^\n]*)') or '', 'r') or nil)
end

-- The final record of an id, unless its retention is over.
local function final(bucket, id)
  local record = redis.call('HGET', KEYS[DONE + bucket], id)
  if not record and keeps() then record = redis.call('HGET', KEYS[DONE + bucket + 1], id) end
  if not record then return nil end
  local retention = keeps() and own_retention(record) or RETENTION
  if tonumber(string.match(record, '^%d+') or 0) + retention > now then return record end
end
