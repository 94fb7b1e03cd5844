-- Purpose: claimed tasks get a lease and a fence.
-- Laws: Q-L3, also when an element stands in a list twice.
-- KEYS: as in keys.lua.
-- ARGV: 3 worker, 4 its lease in milliseconds.
-- Returns: nothing; it defines a function for claim.lua, which answers the first fence (the others follow it), the ids,
--          the place and number of crashes of those that had any, and the records; and when the first lease ends.
-- Bound: 256 tasks, four variadic commands.

-- A set that begins small is searched from end to end with each change. One that begins with a long member is not, for
-- as long as it lives.
local LONG = string.rep(' ', 65)

-- Of what was found, what nobody holds.
local function free_of(found)
  local free, taken = { id = {}, record = {}, line = {}, user = {} }, redis.call('HMGET', OWN, unpack(found.id))
  for i, id in ipairs(found.id) do
    if not taken[i] and not taken[id] then
      local n = #free.id + 1
      free.id[n], free.record[n], free.line[n], free.user[n] = id, found.record[i], found.line[i], found.user[i]
      taken[id] = true
    end
  end
  return free
end

local function lease(found)
  local ids, crashed, words, lines, users = found.id, {}, { unpack(found.id) }, nil, nil
  local format, lengths, has_crashes = string.format, found.length, found.has_crashes
  if #ids == 0 then return { 0, ids, crashed, ids } end
  local fence = redis.call('HINCRBY', META, 'fence', #ids) - #ids + 1
  local started = '|' .. string.format('%d', now) .. '|' .. ARGV[3] .. '|'
  local usual, shortest = string.format('%d', now + ARGV[4]), tonumber(ARGV[4])
  for i = 1, #ids do
    local length = lengths[i] and tonumber(lengths[i])
    if length then shortest = math.min(shortest, length) end
    words[i * 2 - 1], words[i * 2] = length and format('%d', now + length) or usual, ids[i]
  end
  local grows = #ids > 8 and redis.call('EXISTS', LEASE) == 0
  if grows then redis.call('ZADD', LEASE, 0, LONG) end
  -- Whoever has a lease keeps it.
  if redis.call('ZADD', LEASE, 'NX', unpack(words)) < #ids then found = free_of(found) end
  if grows then redis.call('ZREM', LEASE, LONG) end
  ids, lines, users = found.id, found.line, found.user
  if #ids == 0 then return { 0, ids, crashed, ids }, now + shortest end
  if has_crashes == nil then has_crashes = redis.call('EXISTS', CRASH) == 1 end
  local crashes = has_crashes and redis.call('HMGET', CRASH, unpack(ids)) or {}
  for i = 1, #ids do
    -- In one piece: each text in between would cost as much as the whole.
    words[i * 2] = format('%d', fence + i - 1) .. started .. (users[i] or '') .. '\n' .. lines[i]
    words[i * 2 - 1] = ids[i]
    if crashes[i] then crashed[#crashed + 1], crashed[#crashed + 2] = i - 1, tonumber(crashes[i]) end
  end
  redis.call('HSET', OWN, unpack(words, 1, 2 * #ids))
  return { fence, ids, crashed, found.record }, now + shortest
end
