-- Purpose: ready tasks are handed out in order; those of braked users are parked instead.
-- Laws: Q-L2, Q-L3, Q-L5, Q-L11, Q-L13, Q-L16, Q-L18.
-- KEYS: as in keys.lua.
-- ARGV: 3 worker, 4 its lease in milliseconds, 5 how many tasks it takes.
-- Returns: the rows of lease.lua, whether spare ids were missing, when the first of the leases ends, and what expire.lua
--          says.
-- Bound: 256 elements looked at, in rounds of at least 32.
local function claim(credits, braked, depth, gone, spares)
  local found, parked, budget, missing = { id = {}, record = {}, line = {}, length = {}, user = {} }, {}, 256, false
  local ids, late, special = found.id, {}, { id = {}, record = {} }
  for _, level in ipairs(LEVELS) do
    local asked = credits - #ids
    while depth[level] > 0 and #ids < credits and budget > 0 and #late < 64 and not missing do
      local popped = redis.call('RPOP', READY[level], math.min(asked, budget, depth[level]))
      local records = redis.call('HMGET', TASKS, unpack(popped))
      local back = {}
      depth[level] = depth[level] - #popped
      for i, id in ipairs(popped) do
        local record = records[i]
        if #ids == credits or #late == 64 or missing then
          back[#back + 1] = id
        else
          budget = budget - 1
          if not record and is_id(id) then
            gone[level] = (gone[level] or 0) - 1
          elseif not record then
            id, record = adopt(id, level, spares)
            missing = not id
            if missing then back[1] = popped[i] end
          end
          local line, length, user, at = string.match(record or '', '^(%l%d+:?(%d*) (%S*) {"?(@?)[^\n]*\n)')
          if record and not user then
            bury({ id })
          elseif at == '@' and is_expired(line) then
            late[#late + 1] = { id = id, user = user, line = line }
          elseif record and braked > 0 and is_braked(user, braked) then
            parked[#parked + 1], parked[#parked + 2] = 0, user .. '\0' .. id
          elseif record then
            local n = #ids + 1
            ids[n], found.record[n], found.line[n], found.length[n], found.user[n] = id, record, line, length, user
            if at == '@' then special.id[#special.id + 1], special.record[#special.record + 1] = id, line end
          end
        end
      end
      for i = #back, 1, -1 do redis.call('RPUSH', READY[level], back[i]) end
      depth[level] = depth[level] + #back
      asked = math.max(credits - #ids, 32)
    end
  end
  many('ZADD', PARKED, parked)
  local rows, earliest = lease(found)
  let_go(special.id, special.record, true)
  enter_tenants(special.id, special.record)
  return rows, missing, earliest, expire(late)
end
