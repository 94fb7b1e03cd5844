-- Purpose: names for the keys that every script of a queue is passed.
-- Laws: none; what the keys hold is described in keys.rs.
-- KEYS: 1-4 ready lists (critical, high, normal, low), 5 tasks, 6 delayed, 7 lease, 8 own, 9 crash, 10 parked,
--       11 brake, 12 orders, 13 dead, 14 wake, 15 meta, 16 waiting, 17 next, 18 outbox, 19 unique, 20 tenants,
--       21-24 fair and 25-28 turns of the four levels, 29 rates, 30 workers, from 31 on the done buckets of the ids in
--       ARGV, each followed by the hash of those that are kept for a time of their own.
-- ARGV: nothing of its own.
-- Returns: nothing; the script that follows does.
-- Bound: no command.
local READY = { c = KEYS[1], h = KEYS[2], n = KEYS[3], l = KEYS[4] }
local LEVELS = { 'c', 'h', 'n', 'l' }
local TASKS, DELAYED, LEASE, OWN, CRASH = KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local PARKED, BRAKE, ORDERS, DEAD, WAKE, META = KEYS[10], KEYS[11], KEYS[12], KEYS[13], KEYS[14], KEYS[15]
-- The done bucket at a position of the caller's is KEYS[DONE + position].
local DONE = 30
