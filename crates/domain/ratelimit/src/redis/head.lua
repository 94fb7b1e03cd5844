-- Reads the clock and what is asked of each counter; the first part of every script about counters.
-- Laws: R-L2 limit, R-L5 alone.
-- KEYS of each: the counters, and behind them the reservation where there is one
-- ARGV of each: 1 take, peek, reserve, renew, used or refund; 2 reservation or empty; 3 how long it is kept in ms, or what was used;
--   then for each counter: algorithm, limit, window in ms, burst, units, wish, shadow, and whether its unit is the cost
-- Returns nothing by itself.
-- Bound: 16 counters, and for each what its algorithm says.
local time = redis.call('TIME')
local now_us = tonumber(time[1]) * 1000000 + tonumber(time[2])
local now = math.floor(now_us / 1000)
local mode, id = ARGV[1], ARGV[2]
local meters, counters = {}, {}

for i = 1, (#ARGV - 3) / 8 do
  local at = 8 * i - 5
  counters[i] = {
    key = KEYS[i], algorithm = ARGV[at + 1], limit = tonumber(ARGV[at + 2]), window = tonumber(ARGV[at + 3]),
    burst = tonumber(ARGV[at + 4]), units = tonumber(ARGV[at + 5]), wish = tonumber(ARGV[at + 6]),
    shadow = ARGV[at + 7] == '1', by_cost = ARGV[at + 8] == '1',
  }
end

local function int(n)
  return string.format('%.0f', n)
end
