#!lua
-- Give the holder of a lock more time, counted from now.
-- KEYS  1 lock
-- ARGV  1 token of the holder   2 ttl, ms
-- Returns 1, or 0 when this holder does not hold it any more.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
