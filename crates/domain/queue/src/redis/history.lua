-- Purpose: what is noted of an attempt that failed or crashed: for the letter, and for the counters.
-- Laws: Q-L31.
-- KEYS, ARGV: as in keys.lua and lib.lua.
-- Returns: nothing; it defines functions.
-- Bound: one entry of ten; one command for each counter that changes.
local MAX_HISTORY, MAX_TEXT = 10, 256

-- The first bytes of a text, cut between characters of UTF-8.
local function beginning(text)
  if #text <= MAX_TEXT then return text end
  local last = MAX_TEXT
  while last > 0 and string.find(string.sub(text, last + 1, last + 1), '^[\128-\191]') do last = last - 1 end
  return string.sub(text, 1, last)
end

-- Adds an attempt to the header of its task: number, start, end, worker, error.
local function remember(header, attempt, started, worker, text)
  local history = type(header.h) == 'table' and header.h or {}
  while #history >= MAX_HISTORY do table.remove(history, 1) end
  history[#history + 1] = { attempt, tonumber(started) or now, now, worker or '', beginning(text) }
  header.h = history
end

-- Counts events of the queue by their name in META.
local function tally(event, number)
  if number > 0 then redis.call('HINCRBY', META, event, number) end
end
