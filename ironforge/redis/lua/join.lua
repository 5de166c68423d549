#!lua flags=allow-oom
-- Gives a new node its lease and its epoch, the highest so far.
-- KEYS  epoch, nodes, own_fence, queues, roster
-- ARGV  node, lease_ms, about, then the queues that it serves
--       about: what it says of itself
-- USES  clock
-- Returns the epoch
local given = redis.call('INCR', epoch)
redis.call('SET', own_fence, given)
redis.call('ZADD', nodes, now + tonumber(lease_ms), node)
redis.call('HSET', roster, node, about)
redis.call('SADD', queues, unpack(ARGV, 4))
return given
