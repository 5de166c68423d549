#!lua
-- Appends to the audit trail, if nobody else did meanwhile.
-- KEYS  trail, head
-- ARGV  head that the entry follows ('' for the first), head that it becomes, entry, hash, entries kept,
--       hash of the entry that it follows
-- Returns 1, or 0: the head is another one
if (redis.call('GET', KEYS[2]) or '') ~= ARGV[1] then return 0 end
redis.call('XADD', KEYS[1], 'MAXLEN', '=', ARGV[5], '*', 'e', ARGV[3], 'h', ARGV[4], 'b', ARGV[6])
redis.call('SET', KEYS[2], ARGV[2])
return 1
