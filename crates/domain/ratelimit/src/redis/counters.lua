-- What is asked of each counter, and what the algorithms share; behind the head.
-- Laws: R-L5 alone.
-- KEYS and ARGV: as the head says
-- Returns nothing by itself.
-- Bound: 16 counters, and for each what its algorithm says.
local meters, keys, counters = {}, nil, nil

-- Turns to these.
local function turn_to(its_keys, asked)
  keys, counters = its_keys, {}
  for i = 1, #asked / WIDTH do
    local algorithm, shadow, by_cost, limit, window, burst, units, wish = struct.unpack(ASKED, asked, WIDTH * (i - 1) + 1)
    counters[i] = {
      i = i, key = keys[i], algorithm = algorithm, shadow = shadow == 1, by_cost = by_cost == 1,
      limit = limit, window = window, burst = burst, units = units, wish = wish,
    }
  end
end

local function string_of(c)
  stored = stored or redis.call('MGET', unpack(keys))
  return stored[c.i]
end

-- As it is written in a text.
local function int(n)
  return string.format('%.0f', n)
end
