#!lua
-- Lets a key of a limit go on that waits for a dead job, or that a handler has stopped.
-- KEYS  holders, stops, probes, room
-- ARGV  claim, channel
-- Returns how many dead jobs it waited for
local gone = redis.call('ZREMRANGEBYSCORE', holders, '-inf', '(0')
redis.call('ZREM', stops, claim)
redis.call('ZREM', probes, claim)
redis.call('SADD', room, claim)
redis.call('PUBLISH', channel, 'room:')
return gone
