#!lua flags=no-writes
-- What is known of kinds, and which nodes run them, at one moment.
-- KEYS  nodes, roster, announced, kinds
-- ARGV  known
--       the revision that the caller has of the definitions ('-': none)
-- USES  clock
-- Returns the time, the revision, the nodes that hold a lease, the roster, what they announced, and the definitions by
--         kind (nothing when the caller has them)
local revision = redis.call('HGET', kinds, '') or ''
return {now, revision, redis.call('ZRANGE', nodes, '(' .. now, '+inf', 'BYSCORE'), redis.call('HGETALL', roster),
  redis.call('HGETALL', announced), revision == known and {} or redis.call('HGETALL', kinds)}
