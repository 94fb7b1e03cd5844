-- Names some keys of the node that serves a slot: in a Cluster, a SCAN that must reach a certain node.
-- KEYS 1 any name of a slot of that node; it is not read
-- ARGV 1 the cursor, 2 how many keys to look at
-- Returns what SCAN returns: the next cursor, and keys
-- Bound: the second argument, 256 at most.
return redis.call('SCAN', ARGV[1], 'COUNT', ARGV[2]) -- allow(SCAN): COUNT bounds it
