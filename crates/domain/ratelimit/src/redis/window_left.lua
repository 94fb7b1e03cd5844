-- Serves those one after the other that `window_many.lua` has left; behind it and all that `take.lua` needs.
-- Laws: R-L1 all or nothing, R-L2 limit, R-L4 retry.
-- KEYS, ARGV and Returns: as of `window_many.lua`.
-- Bound: 64 counters.
for i = 1, #left do
  local first, last, n = unpack(left[i])
  local its_keys, its_asks = {}, {}
  for at = first + 1, last, 2 do
    local key, kind = byte(id, at, at + 1)
    its_keys[#its_keys + 1] = KEYS[key]
    its_asks[#its_asks + 1] = string.sub(asked, WIDTH * (kind - 1) + 1, WIDTH * kind)
  end
  stored = nil
  turn_to(its_keys, table.concat(its_asks))
  reply[n] = take()
end
return reply
