-- Purpose: adds tasks.
-- Laws: Q-L1, Q-L2, Q-L7, Q-L17.
-- KEYS: as in lib.lua, and those that first.lua names.
-- ARGV: 3 number of tasks; from 4 on the tasks, as accept.lua says.
-- Returns: for each task its state and the id that was known before, as accept.lua says; or '!' and the position of a
--          task whose key was used for another request, and then nothing was added.
-- Bound: 256 tasks, as accept.lua.
check_list()
local states, reused = accept(tonumber(ARGV[3]), 4)
return states or { '!', reused }
