-- Purpose: what every script of a queue starts with: its keys, the time, and how records are read and written.
-- Laws: Q-L7 and Q-L9 by the server's clock; formats are described in keys.rs and record.rs.
-- KEYS: 1-4 ready lists (critical, high, normal, low), 5 tasks, 6 delayed, 7 lease, 8 own, 9 crash, 10 parked,
--       11 brake, 12 orders, 13 dead, 14 wake, 15 meta, from 16 on the done buckets of the ids in ARGV.
-- ARGV: 1 milliseconds to add to the server's clock (0 outside tests), 2 retention in milliseconds.
-- Returns: nothing; the script that follows does.
-- Bound: one TIME.
local READY = { c = KEYS[1], h = KEYS[2], n = KEYS[3], l = KEYS[4] }
local LEVELS = { 'c', 'h', 'n', 'l' }
local TASKS, DELAYED, LEASE, OWN, CRASH = KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local PARKED, BRAKE, ORDERS, DEAD, WAKE, META = KEYS[10], KEYS[11], KEYS[12], KEYS[13], KEYS[14], KEYS[15]
local EVERYONE = '* everyone'
local RETENTION = tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[1]

-- A variadic command, left out when there is nothing to say. Callers stay under 600 arguments.
local function many(command, key, args)
  if #args > 0 then return redis.call(command, key, unpack(args)) end
  return 0
end

-- The record with its header changed, and true; unknown header fields are kept. What cannot be read, or not be written
-- again, such as a number beyond all measure, stays as it is.
local function edit(record, change)
  local front, header, rest = string.match(record, '^(%l%d+:?%d* %S* )([^\n]*)(\n.*)$')
  local readable, fields = pcall(cjson.decode, header or '')
  if not readable or type(fields) ~= 'table' then return record end
  change(fields)
  local writable, changed = pcall(cjson.encode, fields)
  if not writable then return record end
  return front .. changed .. rest, true
end

-- The plain list may be another program's. Called before anything is written: what fails half-way is not undone.
local function check_list() redis.call('LLEN', KEYS[3]) end

-- What is written here may be written although the memory is full: removing comes first, even if nothing is there to
-- remove, and a server lets a script that has begun to write go on.
local function must_write() redis.call('HDEL', META, '') end

-- The final record in a done bucket, unless its retention is over.
local function final(bucket, id)
  local record = redis.call('HGET', KEYS[15 + bucket], id)
  if record and tonumber(string.match(record, '^%d+') or 0) + RETENTION > now then return record end
end

-- Where an unfinished task is: a active, d dead, f between attempts, w delayed, p parked, q ready.
local function place(id, record)
  if redis.call('HEXISTS', OWN, id) == 1 then return 'a' end
  if redis.call('ZSCORE', DEAD, id) then return 'd' end
  if redis.call('ZSCORE', DELAYED, id) then return string.find(record, '^%S* %S* {[^\n]*"a":%d') and 'f' or 'w' end
  local user = string.match(record, '^%S* (%S*)') or ''
  return redis.call('ZSCORE', PARKED, user .. '\0' .. id) and 'p' or 'q'
end

-- One token at most: somebody who waits is woken.
local function wake()
  if redis.call('LLEN', WAKE) == 0 then redis.call('LPUSH', WAKE, '1') end
end
