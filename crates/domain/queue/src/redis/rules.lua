-- Purpose: the limits of the queue, read once, and the rates among them.
-- Laws: Q-L26; the text is described in policy.rs.
-- KEYS, ARGV: as in keys.lua and lib.lua.
-- Returns: nothing; it defines functions.
-- Bound: one HGET where the caller has not read the field; five commands for a rate that was used.
local RATES = KEYS[29]

local rules
local function read_rules(text)
  rules = {}
  for letter, numbers in string.gmatch(text or '', '(%a)([%d,]+)') do
    local rule = {}
    for number in string.gmatch(numbers, '%d+') do rule[#rule + 1] = tonumber(number) end
    rules[letter] = rule
  end
end

-- The numbers of a limit, or nil when there is none.
local function rule(letter)
  if not rules then read_rules(redis.call('HGET', META, 'policy')) end
  return rules[letter]
end

-- How many tasks go to a tenant in one turn; nil while tenants take no turns.
local function quantum()
  local fair = rule('f')
  return fair and fair[1] or ((rule('A') or rule('R')) and 1)
end

-- When the rate would be used up, in microseconds, and its interval. What lies behind us counts for nothing.
local function used_until(name, rate)
  local score = tonumber(redis.call('ZSCORE', RATES, name) or 0)
  return math.max(score, now * 1000), rate[2] * 1000 / rate[1]
end

-- How many may go now, and when the next one may, in milliseconds.
local function tokens(name, rate)
  local until_, interval = used_until(name, rate)
  local free = math.floor((now * 1000 + interval * (rate[3] or rate[1]) - until_) / interval + 1e-6)
  return math.max(free, 0), math.ceil((until_ - interval * ((rate[3] or rate[1]) - 1)) / 1000 - 1e-6)
end

local function spend(name, rate, count)
  local until_, interval = used_until(name, rate)
  until_ = until_ + count * interval
  redis.call('ZADD', RATES, string.format('%.17g', until_), name)
  -- What has passed is forgotten, faster than it is added.
  many('ZREM', RATES, redis.call('ZRANGEBYSCORE', RATES, '-inf', string.format('%.0f', now * 1000), 'LIMIT', 0, 4))
  local left = math.max(until_ / 1000 - now, redis.call('PTTL', RATES), 0)
  redis.call('PEXPIRE', RATES, string.format('%.0f', left + 1000))
end
