-- Purpose: since when a task is ready, where the age of tasks counts.
-- Laws: Q-L28.
-- KEYS, ARGV: as in keys.lua and lib.lua.
-- Returns: nothing; it defines functions.
-- Bound: one HSET.

-- The record with the attribute: it was ready from now on, not from when it was enqueued.
local function stamped(record)
  local front, rest = string.match(record, '^(%S* %S* {)(".*)$')
  if not front then return record end
  local list, after = string.match(rest, '^"@":"([^"]*)",(.*)$')
  list = list and string.gsub(';' .. list, ';s%d+', '') or ''
  return front .. '"@":"s' .. string.format('%.0f', now) .. list .. '",' .. (after or rest)
end

-- Notes in `records` and for good that these tasks are ready since now.
local function note_ready(ids, records)
  if #ids == 0 or not rule('g') then return end
  local kept = {}
  for i, id in ipairs(ids) do
    if records[i] and tonumber(string.match(records[i], '^%l(%d+)')) ~= now then
      records[i] = stamped(records[i])
      kept[#kept + 1], kept[#kept + 2] = id, records[i]
    end
  end
  many('HSET', TASKS, kept)
end

local function ready_since(record)
  return tonumber(attribute(record, 's') or string.match(record, '^%l(%d+)'))
end
