-- Purpose: what a task is known by besides its id, and which task came first under that.
-- Laws: Q-L17: a key answers the task that it named first, and refuses another request; Q-L18; Q-L19.
-- KEYS: as in keys.lua; idempotency keys at the positions that ARGV names.
-- ARGV: of each task what of these it says, separated by ';': 'i<position of its key>,<fingerprint of the request>,
--       <milliseconds to remember it>', 'u<until><unique key>', 'r' for a retention of its own.
-- Returns: nothing; it defines functions for accept.lua.
-- Bound: for each task that says so, one GET and one SET, and a few commands for the task that came first.
-- What refuses new tasks, given their ids and records, where the script that takes them in has set it.
local admit

local keyed, unwritten, holders, taken, is_kept = {}, {}, {}, {}, false

-- The id that came first, if one did, and whether its request was another.
local function first(id, said)
  local position, fingerprint, lifetime = string.match(said, 'i(%d+),(%x+),(%d+)')
  if position then
    local value = keyed[position] or redis.call('GET', KEYS[tonumber(position)]) or ''
    local known_as, known, until_ = string.match(value, '^(%x+)|([^|]+)|(%d+)$')
    if known and tonumber(until_) > now then
      keyed[position] = value
      return known, known_as ~= fingerprint
    end
  end
  local unique, holder = string.match(said, 'u%l(%x+)'), nil
  if unique then
    holder = holders[unique] or redis.call('HGET', UNIQUE, unique)
    if holder and not taken[holder] and not is_holding(holder, unique) then holder = nil end
    holders[unique], taken[holder or id] = holder or id, true
  end
  if position then
    keyed[position] = fingerprint .. '|' .. (holder or id) .. '|' .. string.format('%.0f', now + lifetime)
    unwritten[position] = lifetime
  end
  is_kept = is_kept or string.find(said, 'r', 1, true) ~= nil
  return holder
end

-- Writes down what the tasks said.
local function remember()
  for position, lifetime in pairs(unwritten) do
    redis.call('SET', KEYS[tonumber(position)], keyed[position], 'PX', lifetime)
  end
  for unique, holder in pairs(holders) do redis.call('HSET', UNIQUE, unique, holder) end
  if is_kept then redis.call('HSET', META, 'kept', '1') end
end

-- The state of a task that came first: nothing but its end is known here when it has ended in another bucket.
local function state_of(id, record, ended)
  if ended then return string.match(ended, '^%d+ (%l)') end
  record = record or redis.call('HGET', TASKS, id)
  return record and place(id, record) or '?'
end
