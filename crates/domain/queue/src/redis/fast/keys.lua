-- Purpose: names for the keys that a fast script is passed: each costs something, so these are few.
-- Laws: none; what the keys hold is described in keys.rs.
-- KEYS: 1-4 ready lists (critical, high, normal, low), 5 tasks, 6 wake, 7 meta; of an enqueue, the done buckets of the ids
--       in ARGV follow, each with the hash of those that are kept for a time of their own. Of a step, before those: 8
--       delayed, 9 lease, 10 own, 11 crash, 12 orders, 13 next, 14 outbox, 15 unique, 16 tenants.
-- ARGV: nothing of its own.
-- Returns: nothing; the script that follows does.
-- Bound: no command.
-- What is global is looked up by name, each time.
local KEYS, ARGV, find = KEYS, ARGV, string.find
local READY = { c = KEYS[1], h = KEYS[2], n = KEYS[3], l = KEYS[4] }
local LEVELS = { 'c', 'h', 'n', 'l' }
local TASKS, WAKE, META = KEYS[5], KEYS[6], KEYS[7]
