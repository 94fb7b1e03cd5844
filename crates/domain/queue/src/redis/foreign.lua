-- Purpose: tells ids of ours from elements that a plain Redis client pushed.
-- Laws: Q-L2.
-- KEYS, ARGV: as in keys.lua and lib.lua.
-- Returns: nothing; it defines a function.
-- Bound: one element.

-- Whether this is an id of ours: 22 characters of ordered base 64 of a UUIDv7 of before the year 2109, which is why it
-- begins with '-'. Then it has no record because its task was cancelled while it waited.
local function is_id(element)
  return #element == 22 and string.find(element, '^[%w_%-]+$') and string.find(element, '^%-.......[R-U].*[%-FVk]$')
end
