-- Takes for many callers from counters by `window` that have room even with the whole of their oldest part, in few steps. Whoever is
-- not served so is left to what stands below. Behind `many.lua`.
-- Laws: R-L1 all or nothing, R-L2 limit, R-L5 alone.
-- KEYS and ARGV: as `many.lua` says
-- Returns { for each kind: reset in ms; for each caller: what remains of each counter when it was served, or what `take.lua` returns }
-- Bound: 64 counters, and for each as `window.lua`.
local n, at, tails = #reply, 1, {}
left = {}
while at <= #id do
  local before, last, has_room = n, at + 2 * byte(id, at), true
  for i = at + 1, last, 2 do
    local key, kind = byte(id, i, i + 1)
    local newest, others, oldest = newest_of[key], others_of[key], oldest_of[key]
    if others == names[key] then
      local stored, part, stands, b, c, d, e, f, g, h = newest, parts[kind], nil, 0, 0, 0, 0, 0, 0, 0
      newest, oldest = 0, 0
      if stored then stands, newest, b, c, d, e, f, g, h, oldest = read('>I6I4I4I4I4I4I4I4I4I4', stored) end
      if stands ~= part then
        for _ = 1, math.min(9, part - (stands or part)) do newest, b, c, d, e, f, g, h, oldest = 0, newest, b, c, d, e, f, g, h end
        tails[key] = write('>I4I4I4I4I4I4I4I4', b, c, d, e, f, g, h, oldest)
        -- A clock set back is not for here.
        if part < (stands or part) then oldest = math.huge end
      end
      others = b + c + d + e + f + g + h
      newest_of[key], others_of[key], oldest_of[key] = newest, others, oldest
    end
    local room = limits[kind] - newest - others
    if room < oldest then has_room = false break end
    if oldest > 0 then room = room - ceil(oldest * (windows[kind] - overs[kind]) / windows[kind]) end
    n = n + 1
    reply[n] = room
  end
  if has_room then
    for i = at + 1, last, 2 do
      local key, kind = byte(id, i, i + 1)
      newest_of[key], kinds[key] = newest_of[key] + units[kind], kind
    end
  else
    n = before + 1
    left[#left + 1] = { at, last, n }
  end
  at = last + 1
end

for key = 1, #names do
  local kind, tail = kinds[key], tails[key]
  if kind ~= names[key] then
    -- Until when it counts depends on its part alone.
    if tail then
      call('SET', names[key], write('>I6I4', parts[kind], newest_of[key]) .. tail, 'PX', reply[kind])
    else
      call('SETRANGE', names[key], '6', write('>I4', newest_of[key]))
    end
  end
end
if #left == 0 then return reply end
