-- Reads the clock and the words of the call; the first part of every script about counters.
-- Laws: R-L2 limit, R-L5 alone.
-- KEYS of each: the counters, and behind them the reservation where there is one
-- ARGV of each: 1 take, peek, reserve, renew, used or refund; 2 for each counter 27 bytes: the first letter of its algorithm, 1 in the
--   shadow, 1 when its unit is the cost, limit, window in ms and burst in 4 each, units in 8, wish in 4; 3 reservation and 4 how long
--   it is kept in ms, or what was used, where there is one
-- Returns nothing by itself.
-- Bound: O(1).
local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local now = (now_us - now_us % 1000) / 1000
local mode, asked, id = ARGV[1], ARGV[2], ARGV[3] or ''
local ASKED, WIDTH = '>c1I1I1I4I4I4I8I4', 27
-- The strings of the counters, all of which are read when the first is, and of many callers those that are served one by one.
local stored, left
