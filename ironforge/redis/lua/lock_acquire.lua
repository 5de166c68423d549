#!lua
-- Take a lock if it is free.
-- KEYS  1 lock   2 counter of its fences
-- ARGV  1 token of this holder   2 ttl, ms   3 how long an unused counter is kept, ms
-- Returns the fence (> 0), or minus the milliseconds that the present holder has left (<= 0).
local wrong = misfits(1, 2)
if wrong then return wrong end
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
  return -math.max(redis.call('PTTL', KEYS[1]), 0)
end
-- A forgotten counter starts again at the clock, so that no fence is given out twice, nor a lower one later.
if redis.call('EXISTS', KEYS[2]) == 0 then
  local now = redis.call('TIME')
  redis.call('SET', KEYS[2], string.format('%d', now[1] * 1000 + math.floor(now[2] / 1000)))
end
local fence = redis.call('INCR', KEYS[2])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return fence
