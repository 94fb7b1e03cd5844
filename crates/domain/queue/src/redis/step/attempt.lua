-- Purpose: what an attempt that did not finish its task leaves in the record, and what a repeated settlement is told.
-- Laws: Q-L4, Q-L6, Q-L8.
-- KEYS, ARGV: as in keys.lua and lib.lua.
-- Returns: nothing; it defines functions for settle.lua.
-- Bound: one header decoded and encoded; at most one HGET for each repetition.

-- The wait after failed attempt number `failed`: RetryPolicy::delay, with the policy as record.rs writes it.
local function wait(policy, failed, unit)
  local kind, numbers = string.sub(policy, 1, 1), {}
  for number in string.gmatch(policy, '%d+') do numbers[#numbers + 1] = tonumber(number) end
  if kind == 'e' and numbers[2] then
    return math.floor(math.min(numbers[1] * 2 ^ math.min(failed - 1, 62), numbers[2]) * unit)
  end
  return numbers[math.min(failed, #numbers)] or 0
end

-- The state after the attempt, the record, and when it is due again.
local function attempt(record, own, outcome, text, given)
  local due = now
  local changed, is_readable = edit(record, function(header)
    local fence, started, worker = string.match(own, '^(%d+)|(%d+)|([^|]*)')
    if outcome ~= 'q' then
      header.a, header.r = (tonumber(header.a) or 0) + 1, text
      remember(header, header.a, started, worker, text)
      if outcome == 'f' and header.a >= (tonumber(header.m) or 3) then outcome = 'd' end
      local number, policy = tonumber(string.sub(given, 2)) or 0, header.b or 'e1000,60000'
      due = now + (string.sub(given, 1, 1) == 'd' and number or wait(tostring(policy), header.a, number))
    end
    header.s, header.w, header.lf, header.ls = tonumber(started), worker, tonumber(fence), outcome
  end)
  return is_readable and outcome or 'd', changed, due
end

-- The owner of a task and the first line of its record, as a final record has them.
local function owner_and_line(own, id)
  if string.find(own, '\n', 1, true) then return own end
  -- Claimed by a version that did not write the line.
  return own .. '\n' .. (string.match(redis.call('HGET', TASKS, id) or '', '^[^\n]*\n') or '\n')
end

-- What was answered when this fence settled the task, if it did.
local function repeated(id, fence, bucket, record, before)
  if before then return before.fence == fence and before.state or '-' end
  local ended = not record and final(bucket, id)
  if ended then
    local state, last = string.match(ended, '^%d+ (%l) (%d*)')
    if last == fence then return state end
    if last ~= '' then return '-' end
  end
  local header = string.match(record or ended or '', record and '{[^\n]*' or '\n%S* %S* ([^\n]*)')
  local readable, fields = pcall(cjson.decode, header or '')
  if readable and type(fields) == 'table' and fields.lf == tonumber(fence) then return fields.ls end
  return '-'
end
