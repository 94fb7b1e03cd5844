-- Judges a secret and notes a use; the first part of every script about one session.
-- Laws: S-L1 as it was, S-L2 lifetimes, S-L3 no resurrection, S-L6 reuse, S-L7 privilege change, S-L12 forgetting.
-- KEYS of each: 1 the record, 2 the index of the user
-- ARGV of each: 1 the session id, 2 the hash of the secret
-- Returns nothing by itself.
-- Bound: O(log n) in the sessions of the user, plus the size of the record.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local id, secret = ARGV[1], ARGV[2]
local session = {}

local function int(n)
  return string.format('%.0f', n)
end

-- gone, unknown, active, late (replaced, honoured still) or reused. Lua interns its strings, so that comparing two of them
-- compares addresses: it takes the same time wherever they differ. What searching the replaced ones may tell by its time is
-- about hashes, and nobody can choose a secret by the beginning of its hash.
local function judge()
  local fields = redis.call('HMGET', KEYS[1], 'hash', 'old', 'salt', 'version', 'user', 'created', 'seen', 'idle',
    'absolute', 'context', 'device')
  session = { hash = fields[1], old = fields[2] or '', salt = fields[3], version = fields[4], user = fields[5],
    created = fields[6], seen = fields[7], idle = fields[8], absolute = fields[9], context = fields[10],
    device = fields[11] }
  local is_valid = session.hash and session.seen and session.idle and session.absolute
  if not is_valid or now >= tonumber(session.absolute) or not redis.call('ZSCORE', KEYS[2], id) then return 'gone' end
  if session.hash == secret then return 'active' end
  local known_until, honoured = string.match(session.old, secret .. ' (%d+) (%d)')
  if not known_until then return 'unknown' end
  if now >= tonumber(known_until) then return 'reused' end
  return honoured == '1' and 'late' or 'unknown'
end

local function destroy()
  redis.call('ZREM', KEYS[2], id)
  return redis.call('DEL', KEYS[1])
end

-- The index lives as long as the last session in it; it is never shortened, and nobody is put into it again.
local function touch()
  local ends = math.min(now + tonumber(session.idle), tonumber(session.absolute))
  session.seen = int(now)
  redis.call('HSET', KEYS[1], 'seen', session.seen)
  redis.call('PEXPIREAT', KEYS[1], int(ends))
  redis.call('ZADD', KEYS[2], 'XX', int(ends), id)
  if redis.call('PTTL', KEYS[2]) < ends - now then redis.call('PEXPIREAT', KEYS[2], int(ends)) end
end

local function answer(word)
  return { word, session.version, session.user, session.created, session.seen, session.idle, session.absolute,
    session.context, session.device, session.salt or '' }
end
