-- Purpose: the tasks that are next leave the ready lists of a queue where nothing is unusual.
-- Laws: Q-L2, Q-L5.
-- KEYS: as in fast/keys.lua.
-- ARGV: 5 credits.
-- Returns: nothing; it fills what lease.lua is told, and notes whether a task that is next is left to step.lua.
-- Bound: 64 tasks, six commands.
local credits, is_odd = tonumber(ARGV[5]), false
local ids, records, lines, lengths, users, last = {}, {}, {}, {}, {}, {}
local others = credits > 0 and redis.call('EXISTS', READY.c, READY.h, READY.l) > 0
for _, level in ipairs(LEVELS) do
  local asked = (others or level == 'n') and credits - #ids or 0
  -- The plain list may be another program's, so this is the first to write.
  local popped = asked > 0 and redis.call('RPOP', READY[level], asked == credits and ARGV[5] or asked) or {}
  if #ids == 0 then ids = popped else for i = 1, #popped do ids[#ids + 1] = popped[i] end end
  last[level] = #ids
end
if #ids > 0 then
  -- The lines for their size: a table that grows is copied again and again.
  records, lines = redis.call('HMGET', TASKS, unpack(ids)), { unpack(ids) }
end

-- The first line, lease and user of a record that says more than most; nothing when it has attributes.
local function read(record, stop)
  local length, user, at = string.match(record, '^%l%d+:?(%d*) (%S*) {"?(@?)')
  if stop and at == '' then return string.sub(record, 1, stop), length, user end
end

-- Those from `first` on stay where they were.
local function put_back(first)
  is_odd = true
  for place = #ids, first, -1 do
    local at = 1
    while place > last[LEVELS[at]] do at = at + 1 end
    redis.call('RPUSH', READY[LEVELS[at]], ids[place])
    ids[place], records[place] = nil, nil
  end
end

local byte, sub = string.byte, string.sub
for i = 1, #ids do
  local record = records[i] or ''
  local stop = find(record, '\n', 1, true)
  -- Neither lease nor user nor attributes: the time has as many digits until the year 2286.
  local lease, user, brace, _, key = byte(record, 15, 19)
  if stop and lease == 32 and user == 32 and brace == 123 and key ~= 64 then
    lines[i] = sub(record, 1, stop)
  else
    lines[i], lengths[i], users[i] = read(record, stop)
  end
  if not lines[i] then
    put_back(i)
    break
  end
end
