-- Purpose: why a task that waits for others cannot run, in words.
-- Laws: Q-L22.
-- KEYS, ARGV: as in keys.lua and lib.lua.
-- Returns: nothing; it defines a function.
-- Bound: one id of 22 characters, one header.
local BASE64 = '-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz'

-- The id as it is shown everywhere else.
local function uuid(id)
  local digits, held, bits = {}, 0, 0
  for i = 1, #id do
    held, bits = held * 64 + (string.find(BASE64, string.sub(id, i, i), 1, true) or 1) - 1, bits + 6
    while bits >= 4 and #digits < 32 do
      bits = bits - 4
      local digit = math.floor(held / 2 ^ bits)
      held = held - digit * 2 ^ bits
      digits[#digits + 1] = string.format('%x', digit)
    end
  end
  return (string.gsub(table.concat(digits), '^(........)(....)(....)(....)', '%1-%2-%3-%4-'))
end

-- The first failure of a chain is the one that is told.
local function why(pred, state, given)
  if given ~= '' then return given end
  local reason = 'dependency failed: task ' .. uuid(pred)
  if state == 'x' then return reason .. ' was cancelled' end
  if state ~= 'd' then return reason .. ' is unknown' end
  local its
  edit(redis.call('HGET', TASKS, pred) or '', function(header) its = header.r end)
  its = type(its) == 'string' and its or ''
  if string.sub(its, 1, 18) == 'dependency failed:' then return its end
  return reason .. ' is dead' .. (its ~= '' and ': ' .. its or '')
end
