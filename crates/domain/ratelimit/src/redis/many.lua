-- What is asked for many callers at once, and what their counters hold; behind the head.
-- Laws: R-L5 alone.
-- KEYS: the counters, each once
-- ARGV: 1 many; 2 for each kind of ask its 27 bytes, as the head says; 3 for each caller how many counters it asks, and for each of
--   them its key and its kind, a byte each
-- Returns nothing by itself.
-- Bound: 64 counters.
local byte, read, write, ceil, call, names = string.byte, struct.unpack, struct.pack, math.ceil, redis.call, KEYS
local limits, windows, units, parts, overs, reply = {}, {}, {}, {}, {}, {}
for kind = 1, #asked / WIDTH do
  local _, _, _, limit, window, _, each = read(ASKED, asked, WIDTH * (kind - 1) + 1)
  limits[kind], windows[kind], units[kind], overs[kind] = limit - each, window, each, now * 8 % window
  parts[kind] = (now * 8 - overs[kind]) / window
  reply[kind] = ceil((parts[kind] + 9) * window / 8) - now
end

-- By key, for which the name stands until there is something to say: the count of the newest part, before that what is stored; of all
-- behind it but the oldest; of the oldest; the kind when it changes. As long from the beginning as they will be: growing takes time.
local newest_of = call('MGET', unpack(names))
local others_of, oldest_of, kinds = { unpack(names) }, { unpack(names) }, { unpack(names) }
