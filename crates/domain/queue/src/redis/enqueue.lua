-- Purpose: adds tasks.
-- Laws: Q-L1, Q-L2, Q-L7.
-- KEYS: as in lib.lua.
-- ARGV: 3 number of tasks; from 4 on the tasks, as accept.lua says.
-- Returns: for each task the state it has now, followed by its id when it was known before.
-- Bound: 256 tasks, as accept.lua.
check_list()
return accept(tonumber(ARGV[3]), 4)
