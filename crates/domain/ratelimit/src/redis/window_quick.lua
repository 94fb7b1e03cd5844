-- Takes from counters by `window` that have room even with the whole of their oldest part: the usual call, in few steps. What it does
-- not decide goes on below, where nothing of it has happened. Behind the head.
-- Laws: R-L1 all or nothing, R-L2 limit.
-- KEYS and ARGV: as the head says
-- Returns as `take.lua`
-- Bound: as `window.lua`, for each of 16 counters.
if mode == 'take' then
  stored = redis.call('MGET', unpack(KEYS))
  local reply, counts, ends, has_room = { 1, 0, 0, 0, 0 }, {}, {}, true
  for i = 1, #KEYS do
    local _, _, _, limit, window, _, units, wish = struct.unpack(ASKED, asked, WIDTH * (i - 1) + 1)
    local over = now * 8 % window
    local part = (now * 8 - over) / window
    local newest, a, b, c, d, e, f, g, h, oldest = part, 0, 0, 0, 0, 0, 0, 0, 0, 0
    if stored[i] then newest, a, b, c, d, e, f, g, h, oldest = struct.unpack('>I6I4I4I4I4I4I4I4I4I4', stored[i]) end
    for _ = 1, math.min(9, part - newest) do a, b, c, d, e, f, g, h, oldest = 0, a, b, c, d, e, f, g, h end
    a = a + units
    local room = limit - a - b - c - d - e - f - g - h
    if room < oldest or wish > 0 or part < newest then has_room = false break end
    if stored[i] and part == newest then
      counts[i] = struct.pack('>I4', a)
    else
      counts[i], ends[i] = struct.pack('>I6I4I4I4I4I4I4I4I4I4', part, a, b, c, d, e, f, g, h, oldest), true
    end
    local reset = math.ceil((part + 9) * window / 8) - now
    if oldest > 0 then room = room - math.ceil(oldest * (window - over) / window) end
    reply[4 * i - 2], reply[4 * i - 1], reply[4 * i], reply[4 * i + 1] = 0, room, reset, 0
  end
  for i = 1, has_room and #KEYS or 0 do
    -- Until when it counts depends on its part alone.
    if ends[i] then redis.call('SET', KEYS[i], counts[i], 'PX', reply[4 * i]) else redis.call('SETRANGE', KEYS[i], '6', counts[i]) end
  end
  if has_room then return reply end
end
