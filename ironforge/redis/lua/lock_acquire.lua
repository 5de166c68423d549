#!lua
-- Take a lock if it is free.
-- KEYS  lock, lock_fence
-- ARGV  token, ttl_ms, unused_ms
--       token of this holder; how long an unused counter of fences is kept
-- USES  clock
-- Returns the fence (> 0), or minus the milliseconds that the present holder has left (<= 0).
if not redis.call('SET', lock, token, 'NX', 'PX', ttl_ms) then return -math.max(redis.call('PTTL', lock), 0) end
-- A forgotten counter starts again at the clock, so that no fence is given out twice, nor a lower one later.
redis.call('SET', lock_fence, string.format('%d', now), 'NX')
local fence = redis.call('INCR', lock_fence)
redis.call('PEXPIRE', lock_fence, unused_ms)
return fence
