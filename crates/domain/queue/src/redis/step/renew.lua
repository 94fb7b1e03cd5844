-- Purpose: leases are extended, and their holders told what is ordered.
-- Laws: Q-L3, Q-L4, Q-L11, Q-L12.
-- KEYS: as in keys.lua.
-- ARGV: from `at` three for each renewal: id, fence, lease in milliseconds.
-- Returns: for each the end of the lease (0 when it is lost) and the order: '' none, 'c' cancel, 'p' pause.
-- Bound: 256 renewals, three variadic commands, one HGET for each user while a brake is on.
local function renew(count, at, braked)
  local ids, answers, leases = {}, {}, {}
  for i = 1, count do ids[i] = ARGV[at + (i - 1) * 3] end
  local owns = count > 0 and redis.call('HMGET', OWN, unpack(ids)) or {}
  local orders = count > 0 and redis.call('EXISTS', ORDERS) == 1 and redis.call('HMGET', ORDERS, unpack(ids)) or {}
  for i, id in ipairs(ids) do
    local fence, user = string.match(owns[i] or '', '^(%d+)|%d+|[^|]*|([^\n]*)')
    local ends, order = 0, ''
    if fence == ARGV[at + (i - 1) * 3 + 1] then
      ends = now + ARGV[at + (i - 1) * 3 + 2]
      leases[#leases + 1] = ends
      leases[#leases + 1] = id
      order = orders[i] and 'c' or (is_braked(user, braked) and 'p' or '')
    end
    answers[#answers + 1] = ends
    answers[#answers + 1] = order
  end
  many('ZADD', LEASE, leases)
  return answers
end
