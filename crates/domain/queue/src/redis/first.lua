-- Purpose: what a task is known by besides its id, and which task came first under that.
-- Laws: Q-L17: a key answers the task that it named first, and refuses another request.
-- KEYS: as in lib.lua; idempotency keys at the positions that ARGV names.
-- ARGV: of each task 'i<position of its key>,<fingerprint of the request>,<milliseconds to remember it>'.
-- Returns: nothing; it defines functions for accept.lua.
-- Bound: for each task that says so, one GET and one SET, and a few commands for the task that came first.
local keyed, unwritten = {}, {}

-- The id that came first, if one did, and whether its request was another.
local function first(id, said)
  local position, fingerprint, lifetime = string.match(said, 'i(%d+),(%x+),(%d+)')
  if not position then return nil end
  local value = keyed[position] or redis.call('GET', KEYS[tonumber(position)]) or ''
  local known_as, known, until_ = string.match(value, '^(%x+)|([^|]+)|(%d+)$')
  if known and tonumber(until_) > now then
    keyed[position] = value
    return known, known_as ~= fingerprint
  end
  keyed[position] = fingerprint .. '|' .. id .. '|' .. string.format('%.0f', now + lifetime)
  unwritten[position] = lifetime
end

-- Writes down what was said by the tasks that are new.
local function remember()
  for position, lifetime in pairs(unwritten) do
    redis.call('SET', KEYS[tonumber(position)], keyed[position], 'PX', lifetime)
  end
end

-- The state of a task that came first: nothing but its end is known here when it has ended in another bucket.
local function state_of(id, record, ended)
  if ended then return string.match(ended, '^%d+ (%l)') end
  record = record or redis.call('HGET', TASKS, id)
  return record and place(id, record) or '?'
end
