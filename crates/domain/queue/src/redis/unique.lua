-- Purpose: unique keys: which task holds one, and when it lets go.
-- Laws: Q-L18: what the hash says is always checked against the task itself.
-- KEYS: as in keys.lua.
-- ARGV: nothing of its own.
-- Returns: nothing; it defines functions.
-- Bound: two commands for each task that has a unique key.
local UNIQUE = KEYS[19]

-- The key that a task asks for, and until when: 's' it starts, 'd' it is done.
local function unique_key(record)
  local until_, key = string.match(attribute(record, 'u') or '', '^(%l)(%x+)$')
  return key, until_
end

-- Whether a task that is said to hold a key is there, not dead, and not past the time of holding it.
local function is_holding(id, key)
  local record = redis.call('HGET', TASKS, id)
  if not record then return false end
  local asked, until_ = unique_key(record)
  if asked ~= key or redis.call('ZSCORE', DEAD, id) then return false end
  return until_ == 'd' or redis.call('HEXISTS', OWN, id) == 0
end

-- The keys that these tasks hold become free; when they start, only those that are held until then.
local function let_go(ids, records, is_start)
  for i, id in ipairs(ids) do
    local key, until_ = unique_key(records[i] or '')
    if key and (until_ == 's' or not is_start) and redis.call('HGET', UNIQUE, key) == id then
      redis.call('HDEL', UNIQUE, key)
    end
  end
end

-- As above, with ids and final records one after the other.
local function let_go_ended(bundle)
  for i = 1, #bundle, 2 do let_go({ bundle[i] }, { string.match(bundle[i + 1], '\n([^\n]*)') }) end
end
