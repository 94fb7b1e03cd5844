-- Purpose: how records are read and changed, and where a task is.
-- Laws: Q-L2, Q-L14; formats are described in record.rs.
-- KEYS, ARGV: as in keys.lua and lib.lua.
-- Returns: nothing; it defines functions.
-- Bound: one record each.

-- What a script must know of a task beyond level, lease and user: '' for nearly all of them, so that looking costs
-- little. Attributes are separated by ';', each a letter and a value without '"', '\' and ';'.
local function attributes(record)
  return string.match(record, '^%S* %S* {"@":"([^"]*)"') or ''
end

-- The value of the attribute with this letter, or nil.
local function attribute(record, letter)
  local all = attributes(record)
  if all ~= '' then return string.match(';' .. all, ';' .. letter .. '([^;]*)') end
end

-- The record with its header changed, and true; unknown header fields are kept. What cannot be read, or not be written
-- again, such as a number beyond all measure, stays as it is.
local function edit(record, change)
  local front, header, rest = string.match(record, '^(%l%d+:?%d* %S* )([^\n]*)(\n.*)$')
  local readable, fields = pcall(cjson.decode, header or '')
  if not readable or type(fields) ~= 'table' then return record end
  change(fields)
  -- Attributes stand first, where they are found without decoding.
  local first = type(fields['@']) == 'string' and fields['@']
  fields['@'] = nil
  local writable, changed = pcall(cjson.encode, fields)
  if not writable then return record end
  if first then changed = '{"@":"' .. first .. '",' .. string.sub(changed, 2) end
  return front .. changed .. rest, true
end

-- Where an unfinished task is: a active, d dead, f between attempts, w delayed, g waiting, p parked, q ready.
local function place(id, record)
  if redis.call('HEXISTS', OWN, id) == 1 then return 'a' end
  if redis.call('ZSCORE', DEAD, id) then return 'd' end
  if redis.call('ZSCORE', DELAYED, id) then return string.find(record, '^%S* %S* {[^\n]*"a":%d') and 'f' or 'w' end
  if attribute(record, 'g') and redis.call('HEXISTS', KEYS[16], id) == 1 then return 'g' end
  local user = string.match(record, '^%S* (%S*)') or ''
  return redis.call('ZSCORE', PARKED, user .. '\0' .. id) and 'p' or 'q'
end
