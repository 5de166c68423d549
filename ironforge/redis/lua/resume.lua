#!lua
-- Lets a key of a limit go on that waits for a dead job, or that is stopped: by a handler, or since more was used than its
-- burst allows.
-- KEYS  holders, stops, probes, room, tat
-- ARGV  claim, channel
-- USES  stem, limits
-- Returns how many dead jobs it waited for
local gone = redis.call('ZREMRANGEBYSCORE', holders, '-inf', '(0')
redis.call('ZREM', stops, claim)
redis.call('ZREM', probes, claim)
local limit = definition(string.match(claim, '^[^\n]*'))
local used = limit and limit.rate and tonumber(redis.call('GET', tat))
if used and used > furthest(limit.rate) then
  redis.call('SET', tat, string.format('%.0f', furthest(limit.rate)), 'KEEPTTL')
end
redis.call('SADD', room, claim)
redis.call('PUBLISH', channel, 'room:')
return gone
