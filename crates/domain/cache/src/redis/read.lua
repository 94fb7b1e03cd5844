-- Reads an entry with the time that it has left, and tells the time: for a reader who does not know the time well enough
-- to be sure of what a plain read finds.
-- Laws: C-L4 expiry.
-- KEYS 1 the value, 2 its record
-- ARGV none
-- Returns { value, record, ms that the value has left, the server's clock in microseconds }
-- Bound: O(1), plus the size of the value.
local got = redis.call('MGET', KEYS[1], KEYS[2])
return { got[1], got[2], redis.call('PTTL', KEYS[1]), string.format('%.0f', server_time()) }
