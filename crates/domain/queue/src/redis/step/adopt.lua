-- Purpose: an element that a plain Redis client pushed becomes a task, or a dead letter when it is no JSON object.
-- Laws: Q-L2: it is lost nowhere.
-- KEYS: as in keys.lua.
-- ARGV: from `spares.at` to `spares.last` ids that nothing has yet.
-- Returns: nothing; it defines functions for claim.lua.
-- Bound: one element, one HSET; JSON is decoded once.

local function text_of(object, names, pattern)
  for _, name in ipairs(names) do
    local text = object[name]
    if type(text) == 'string' and #text <= 128 and string.find(text, pattern) then return text end
  end
end

-- The id and record of the new task; no id when the caller gave too few; no record when it became a dead letter.
local function adopt(element, level, spares)
  if spares.at > spares.last then return nil end
  local id = ARGV[spares.at]
  spares.at = spares.at + 1
  local is_json, object = pcall(cjson.decode, element)
  local header, user, reason = { k = 'raw', f = 1 }, '', nil
  if not is_json or type(object) ~= 'table' then
    header.r = 'not JSON: pushed by a client that is not ours'
  elseif not string.find(element, '^%s*{') then
    header.r = 'not a JSON object: pushed by a client that is not ours'
  else
    header.k = text_of(object, { 'kind', 'task', 'type', 'name' }, '^[ -~]+$') or 'raw'
    user = text_of(object, { 'user_id' }, '^[!-~]+$') or ''
  end
  local record = level .. string.format('%d', now) .. ' ' .. user .. ' ' .. cjson.encode(header) .. '\n' .. element
  redis.call('HSET', TASKS, id, record)
  redis.call('HINCRBY', META, 'created', 1)
  if not header.r then return id, record end
  bury({ id })
  return id
end
