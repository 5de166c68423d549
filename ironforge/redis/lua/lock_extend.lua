#!lua
-- Give the holder of a lock more time, counted from now.
-- KEYS  lock
-- ARGV  token, ttl_ms
-- Returns 1, or 0 when this holder does not hold it any more.
return redis.call('GET', lock) == token and redis.call('PEXPIRE', lock, ttl_ms) or 0
