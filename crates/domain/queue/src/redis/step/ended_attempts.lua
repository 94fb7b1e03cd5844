-- Purpose: the attempts that settlements end, for a caller that did not claim them.
-- Laws: Q-L31.
-- KEYS: as in keys.lua.
-- ARGV: the last one 'attempts' when the caller wants to know.
-- Returns: nothing; it defines a function for settle.lua, and the list that it fills: number and owner of each.
-- Bound: one comparison for each settlement.
local tells_attempts, ended_attempts = ARGV[#ARGV] == 'attempts', {}

local function note_attempt(number, own)
  if tells_attempts then ended_attempts[#ended_attempts + 1], ended_attempts[#ended_attempts + 2] = number, own end
end
